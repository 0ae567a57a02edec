use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use rdkafka::consumer::CommitMode;
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, ClientContext};
use throughline_core::boundary;
use throughline_kafka::{Hooks, Message, Rebalance, StreamConsumer, TopicPartition};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::Error;
use super::book::{Book, Handled, Line};
use super::spans::Spans;

/// How a consumer of the ledger works.
#[derive(clap::Args, Clone, Debug)]
pub struct Consume {
    /// `bootstrap.servers`
    #[arg(long)]
    pub brokers: String,
    /// Where to read from
    #[arg(long)]
    pub topic: String,
    /// The group to be a member of
    #[arg(long)]
    pub group: String,
    /// How many messages to handle at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// How long a handler waits for something, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub think: u64,
    /// The book to write into
    #[arg(long)]
    pub ledger: PathBuf,
}

/// Counts how often partitions came or went, and writes down what was committed.
#[derive(Clone)]
struct Watch {
    generation: Arc<AtomicU64>,
    book: Arc<Book>,
}

impl ClientContext for Watch {}

impl Hooks for Watch {
    fn pre_rebalance(&self, _: &Rebalance<'_>) {
        self.generation.fetch_add(1, SeqCst);
    }

    fn commit_callback(&self, result: &KafkaResult<()>, offsets: &[TopicPartition]) {
        if result.is_err() {
            return;
        }
        for place in offsets {
            if let Some(offset) = place.offset
                && let Err(error) =
                    self.book.write(&Line::Committed { partition: place.partition, offset })
            {
                eprintln!("{error}");
            }
        }
    }
}

/// What a handler needs to write its line.
#[derive(Clone)]
struct Scribe {
    book: Arc<Book>,
    spans: Spans,
    watch: Watch,
    /// What failed once, as the campaign wants it.
    failed: Arc<Mutex<HashSet<u64>>>,
}

impl Scribe {
    /// One message in fifty fails the first time.
    fn fail_once(&self, message: Message<'_>) -> Result<(), Error> {
        let id = message.payload_view::<str>().and_then(Result::ok).and_then(|id| id.parse().ok());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) if id % 50 == 7 && failed.insert(id) => {
                Err(Error::Late(format!("message {id} fails the first time")))
            }
            _ => Ok(()),
        }
    }

    /// Writes down that a message is handled here, before it is acknowledged.
    fn write(&self, message: Message<'_>) -> Result<(), Error> {
        let id = message.payload_view::<str>().and_then(Result::ok).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Error::Late("a message that is none of this ledger".into()))?;
        let own = boundary().span_context();
        let own = own.ok_or_else(|| Error::Late(format!("message {id} has no span")))?;
        let parent = self.spans.parent(own.span_id());
        let parent = parent.ok_or_else(|| Error::Late(format!("the span of {id} is not open")))?;
        self.book.write(&Handled {
            id,
            trace: own.trace_id().to_string(),
            parent: parent.to_string(),
            process: std::process::id(),
            generation: self.watch.generation.load(SeqCst),
            partition: message.partition(),
            offset: message.offset(),
        })
    }
}

fn start(args: &Consume) -> Result<(StreamConsumer<Watch>, Scribe), Error> {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &args.brokers)
        .set("group.id", &args.group)
        .set("auto.offset.reset", "earliest")
        .set("auto.commit.interval.ms", "500")
        // As short as a broker allows: whoever is killed is missed soon.
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500");
    let book = Arc::new(Book::open(&args.ledger)?);
    let watch = Watch { generation: Arc::default(), book: Arc::clone(&book) };
    let consumer: StreamConsumer<Watch> = config.create_with_context(watch.clone())?;
    consumer.subscribe(&[&args.topic])?;
    let scribe = Scribe { book, spans, watch, failed: Arc::default() };
    Ok((consumer.with_tracer_provider(&provider), scribe))
}

/// Handles messages until SIGTERM, and writes each down before it is acknowledged.
///
/// # Errors
///
/// When a message can't be handled, or the book can't be written.
pub async fn consume(args: Consume) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Process)?;
    let (consumer, scribe) = start(&args)?;
    let think = Duration::from_millis(args.think);
    let stopped = async move {
        terminate.recv().await;
    };
    let run = consumer
        .runner()
        .concurrency(args.concurrency)
        .per_key()
        .retry(3, Duration::from_millis(1))
        .with_graceful_shutdown(stopped)
        .run(move |message| {
            let scribe = scribe.clone();
            async move {
                tokio::time::sleep(think).await;
                scribe.fail_once(message.as_message())?;
                scribe.write(message.as_message())
            }
        });
    Ok(run.await?)
}

/// How a consumer works that fails at one message and is killed then.
#[derive(clap::Args, Clone, Debug)]
pub struct Hold {
    #[command(flatten)]
    /// As any other
    pub consume: Consume,
    /// How many messages to take
    #[arg(long)]
    pub take: usize,
    /// The message to fail at
    #[arg(long)]
    pub fail: u64,
}

/// Takes some messages at once, fails at one of them, commits what may be committed, says how far
/// that is, and waits to be killed.
///
/// # Errors
///
/// When a message can't be taken, or Kafka refuses the commit.
pub async fn hold(args: Hold) -> Result<(), Error> {
    let (consumer, scribe) = start(&args.consume)?;
    // All of them before the first is handled: one that fails lets none come after it.
    let mut deliveries = Vec::new();
    while deliveries.len() < args.take
        && let Some(delivery) = consumer.recv().await?
    {
        deliveries.push(delivery.into_owned());
    }
    let mut tasks = JoinSet::new();
    for delivery in deliveries {
        let (scribe, fail) = (scribe.clone(), args.fail);
        #[expect(clippy::disallowed_methods, reason = "each record brings its own trace")]
        tasks.spawn(delivery.process(move |message| async move {
            let id = message.payload_view::<str>().and_then(Result::ok);
            if id.and_then(|id| id.parse().ok()) == Some(fail) {
                return Err(Error::Late(format!("message {fail} fails, as the test wants it")));
            }
            scribe.write(message.as_message())
        }));
    }
    let mut failed = 0;
    while let Some(done) = tasks.join_next().await {
        failed += usize::from(!matches!(done, Ok(Ok(()))));
    }
    consumer.commit(CommitMode::Sync)?;
    let committed = consumer.committed(Duration::from_secs(10))?;
    let committed = committed.iter().find_map(|place| place.offset);
    println!("failed {failed}, committed {committed:?}");
    std::future::pending().await
}
