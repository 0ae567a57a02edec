use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rdkafka::ClientConfig;
use rdkafka::producer::FutureRecord;
use throughline::core::InContext;
use throughline::kafka::FutureProducer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::KEYS;
use crate::ledger::Error;
use crate::ledger::backlog::Backlog;
use crate::ledger::book::{Book, Line, Place};
use crate::ledger::spans::Spans;

/// How long to wait before a message that was refused is sent anew.
const PAUSE: Duration = Duration::from_millis(10);

/// How a producer of the ledger works.
#[derive(clap::Args, Clone, Debug)]
pub struct Produce {
    /// `bootstrap.servers`
    #[arg(long)]
    pub brokers: String,
    /// Where to send to
    #[arg(long)]
    pub topic: String,
    /// How many messages to send, but for those that the book says are sent
    #[arg(long)]
    pub messages: u64,
    /// How many may be under way at once
    #[arg(long, default_value_t = 256)]
    pub window: u32,
    /// Waits while so many of a partition are sent and not handled
    #[arg(long)]
    pub ahead: Option<u64>,
    /// The book to write into
    #[arg(long)]
    pub book: PathBuf,
}

/// What a send needs.
#[derive(Clone)]
struct Sender {
    producer: FutureProducer,
    tracer: SdkTracer,
    spans: Spans,
    book: Arc<Book>,
    topic: Arc<str>,
}

impl Sender {
    /// Sends a message until the broker has it.
    async fn send(&self, id: u64) -> Result<(), Error> {
        let (key, payload) = (format!("key-{}", id % KEYS), id.to_string());
        let process = std::process::id();
        loop {
            let order = self.spans.order(&self.tracer);
            let trace = order.trace;
            self.book.write(&Line::Trying { process, id, trace })?;
            let record = FutureRecord::to(&self.topic).key(&key).payload(&payload);
            let send = async { self.producer.send(record, Duration::from_secs(60)).await };
            let sent = InContext::new(send, order.context.clone()).await;
            let [span] = order.sends()[..] else { return Err(Error::NoSpan(id)) };
            match sent {
                Ok(at) => {
                    let place = Place::Record { partition: at.partition, offset: at.offset };
                    return self.book.write(&Line::Sent { id, trace, span, place });
                }
                Err((error, _)) => {
                    if let Some((code, reason)) = self.producer.client().fatal_error() {
                        return Err(Error::Fatal(code, reason));
                    }
                    eprintln!("message {id} was refused, and is sent anew: {error}");
                    self.book.write(&Line::Refused { id, trace, span })?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Sends messages, and writes down each that the broker took.
///
/// # Errors
///
/// When the book can't be read or written, or the producer is at its end.
pub async fn produce(args: Produce) -> Result<(), Error> {
    let Produce { brokers, topic, messages, window, ahead, book } = args;
    let mut backlog = Backlog::read(&book)?;
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "1");
    config.set("enable.idempotence", "true").set("socket.timeout.ms", "10000");
    let producer: FutureProducer = config.create()?;
    let producer = producer.with_tracer_provider(&provider);
    let (tracer, book) = (provider.tracer("ledger"), Arc::new(Book::open(&book)?));
    let sender = Sender { producer, tracer, spans, book, topic: topic.into() };

    let under_way = Arc::new(Semaphore::new(window as usize));
    let mut sends = JoinSet::new();
    let unsent: Vec<_> = (0..messages).filter(|id| !backlog.is_sent(*id)).collect();
    for id in unsent {
        if let Some(ahead) = ahead {
            backlog.wait_below(ahead.saturating_sub(u64::from(window))).await?;
        }
        let Ok(room) = Arc::clone(&under_way).acquire_owned().await else { break };
        let sender = sender.clone();
        #[expect(clippy::disallowed_methods, reason = "each send begins a trace")]
        sends.spawn(async move {
            let _room = room;
            sender.send(id).await
        });
        while let Some(done) = sends.try_join_next() {
            done.map_err(Error::task)??;
        }
    }
    while let Some(done) = sends.join_next().await {
        done.map_err(Error::task)??;
    }
    Ok(())
}
