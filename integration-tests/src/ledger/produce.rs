use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use rdkafka::ClientConfig;
use rdkafka::producer::FutureRecord;
use throughline_kafka::FutureProducer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Error;
use super::book::{Book, Sent};
use super::spans::Spans;

/// How a producer of the ledger works.
#[derive(clap::Args, Clone, Debug)]
pub struct Produce {
    /// `bootstrap.servers`
    #[arg(long)]
    pub brokers: String,
    /// Where to send to
    #[arg(long)]
    pub topic: String,
    /// How many messages to send
    #[arg(long)]
    pub messages: u64,
    /// How many may be under way at once
    #[arg(long, default_value_t = 256)]
    pub window: usize,
    /// The book to write into
    #[arg(long)]
    pub ledger: PathBuf,
}

/// Sends messages, and writes down each that the broker took.
///
/// # Errors
///
/// When the broker refuses one, or the book can't be written.
pub async fn produce(args: Produce) -> Result<(), Error> {
    let Produce { brokers, topic, messages, window, ledger } = args;
    let book = Arc::new(Book::open(&ledger)?);
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "1");
    config.set("enable.idempotence", "true");
    let producer: FutureProducer = config.create()?;
    let producer = producer.with_tracer_provider(&provider);

    let under_way = Arc::new(Semaphore::new(window));
    let mut sends = JoinSet::new();
    for id in 0..messages {
        let Ok(room) = Arc::clone(&under_way).acquire_owned().await else { break };
        let (producer, book, spans) = (producer.clone(), Arc::clone(&book), spans.clone());
        let topic = topic.clone();
        #[expect(clippy::disallowed_methods, reason = "each send begins a trace")]
        sends.spawn(async move {
            let _room = room;
            let (key, payload) = (format!("key-{}", id % 97), id.to_string());
            let record = FutureRecord::to(&topic).key(&key).payload(&payload);
            let sent = producer.send(record, Duration::from_secs(60)).await;
            let sent = sent.map_err(|(error, _)| error)?;
            let (trace, span) = spans.take_send(sent.partition, sent.offset).ok_or_else(|| {
                Error::Late(format!("the span of message {id} has not ended by its answer"))
            })?;
            book.write(&Sent { id, trace, span })
        });
        while let Some(done) = sends.try_join_next() {
            done.map_err(|error| Error::Late(error.to_string()))??;
        }
    }
    while let Some(done) = sends.join_next().await {
        done.map_err(|error| Error::Late(error.to_string()))??;
    }
    Ok(())
}
