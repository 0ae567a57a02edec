use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, ClientContext};
use throughline::kafka::{Hooks, OwnedMessage, Rebalance, StreamConsumer, TopicPartition};
use tokio::signal::unix::{SignalKind, signal};

use crate::ledger::Error;
use crate::ledger::book::{Book, Line, Place};
use crate::ledger::scribe::Scribe;
use crate::ledger::spans::Spans;

/// How the members of a group share its partitions.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The classic one, in which everybody gives everything back first
    #[default]
    Eager,
    /// The classic one, in which only what moves is given back
    Cooperative,
    /// The newer one, `group.protocol=consumer` (KIP-848)
    Consumer,
}

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
    /// How the group shares its partitions
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// How many messages to handle at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// How long a handler waits for something, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub think: u64,
    /// No handler fails
    #[arg(long)]
    pub flawless: bool,
    /// The book to write into
    #[arg(long)]
    pub book: PathBuf,
}

/// Writes down how partitions come and go, and what was committed.
#[derive(Clone)]
pub(super) struct Watch {
    book: Arc<Book>,
    /// How often each partition has come or left.
    epochs: Arc<Mutex<HashMap<i32, u64>>>,
}

impl Watch {
    fn epochs(&self) -> MutexGuard<'_, HashMap<i32, u64>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self, partition: i32) -> u64 {
        self.epochs().get(&partition).copied().unwrap_or_default()
    }
}

impl ClientContext for Watch {}

impl Hooks for Watch {
    fn pre_rebalance(&self, rebalance: &Rebalance<'_>) {
        let process = std::process::id();
        let (places, is_coming) = match rebalance {
            Rebalance::Assign(places) => (*places, true),
            Rebalance::Revoke(places) => (*places, false),
            _ => return,
        };
        for &TopicPartition { partition, .. } in places {
            let mut epochs = self.epochs();
            let epoch = epochs.entry(partition).or_default();
            let before = *epoch;
            // Odd while it is here.
            *epoch += u64::from(before.is_multiple_of(2) == is_coming);
            let line = match is_coming {
                true => Line::Assigned { process, partition, epoch: *epoch },
                false => Line::Revoked { process, partition, epoch: before },
            };
            self.book.note(&line);
        }
    }

    fn commit_callback(&self, result: &KafkaResult<()>, offsets: &[TopicPartition]) {
        if result.is_err() {
            self.book.note(&Line::Uncommitted { process: std::process::id() });
            return;
        }
        for &TopicPartition { partition, offset, .. } in offsets {
            if let Some(offset) = offset {
                self.book.note(&Line::Committed { partition, offset });
            }
        }
    }
}

/// A consumer, and what its handlers need.
pub(super) struct Post {
    pub(super) consumer: StreamConsumer<Watch>,
    pub(super) scribe: Scribe,
    watch: Watch,
}

impl Post {
    pub(super) fn start(args: &Consume) -> Result<Self, Error> {
        let spans = Spans::default();
        let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &args.brokers)
            .set("group.id", &args.group)
            .set("auto.offset.reset", "earliest")
            .set("auto.commit.interval.ms", "500")
            // An answer that never comes is missed soon.
            .set("socket.timeout.ms", "10000")
            // The embedded Kafka isn't woken by new records.
            .set("fetch.wait.max.ms", "100");
        match args.protocol {
            Protocol::Consumer => config.set("group.protocol", "consumer"),
            // As short as a broker allows: whoever is killed is missed soon.
            _ => config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500"),
        };
        if args.protocol == Protocol::Cooperative {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        let book = Arc::new(Book::open(&args.book)?);
        let watch = Watch { book: Arc::clone(&book), epochs: Arc::default() };
        let consumer: StreamConsumer<Watch> = config.create_with_context(watch.clone())?;
        consumer.subscribe(&[&args.topic])?;
        let think = Duration::from_millis(args.think);
        let (flawless, failed) = (args.flawless, Arc::default());
        let scribe = Scribe { book, spans, think, slow: think, flawless, failed };
        Ok(Post { consumer: consumer.with_tracer_provider(&provider), scribe, watch })
    }
}

/// Where a record lies, and its number.
pub(super) fn what(message: &OwnedMessage) -> (Place, String) {
    let message = message.as_message();
    let payload = message.payload().unwrap_or_default();
    let place = Place::Record { partition: message.partition(), offset: message.offset() };
    (place, String::from_utf8_lossy(payload).into_owned())
}

/// Handles messages until SIGTERM, and writes each down before it is acknowledged.
///
/// # Errors
///
/// When a message can't be handled, or the book can't be written.
pub async fn consume(args: Consume) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Process)?;
    let Post { consumer, scribe, watch } = Post::start(&args)?;
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
            // When it begins: by its end its partition may have left.
            let epoch = watch.epoch(message.partition());
            let scribe = scribe.clone();
            async move {
                let (place, id) = what(&message);
                scribe.handle(&id, place, epoch).await
            }
        });
    Ok(run.await?)
}
