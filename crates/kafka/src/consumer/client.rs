use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rdkafka::client::Client as NativeClient;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::context::{HookedContext, plain};
use super::drain::commit_last;
use super::offsets_of::{Ours, Theirs};
use super::positions::copied;
use super::source::Client;
use super::{BatchRunner, Counts, DefaultHooks, Hooks, Runner, State};
use crate::process::{Message, Source};
use crate::settings::Settings;

/// `max.poll.interval.ms` where it isn't set.
const MAX_POLL_INTERVAL: u64 = 300_000;

/// `auto.commit.interval.ms` where it isn't set, and the least that a runner commits by.
const COMMIT_INTERVAL: u64 = 5_000;
const MIN_COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a handler may take before somebody polls in its place, at the most: so long may a
/// rebalance of the group wait for it.
const MAX_PATIENCE: Duration = Duration::from_secs(10);

/// A consumer that hands out each record inside its trace: `rdkafka`'s
/// [`StreamConsumer`](rdkafka::consumer::StreamConsumer), made by the same
/// [`ClientConfig::create`].
///
/// ```no_run
/// use rdkafka::ClientConfig;
/// use throughline_kafka::{Message, StreamConsumer};
///
/// # async fn handle(_: Message<'_>) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = ClientConfig::new();
/// config.set("bootstrap.servers", "localhost:9092").set("group.id", "fulfilment");
/// let consumer: StreamConsumer = config.create()?;
/// consumer.subscribe(&["orders"])?;
/// while let Some(delivery) = consumer.recv().await? {
///     // Why one fails is told by the next `recv`, with its place.
///     delivery.process(async |message| handle(message).await).await.ok();
/// }
/// # Ok(()) }
/// ```
///
/// # Offsets
///
/// `enable.auto.offset.store` is set to `false`, whatever the configuration says: an offset is
/// stored when the handler has succeeded, and only up to the first record of the partition that
/// hasn't. What is stored is committed as the configuration says: every `auto.commit.interval.ms`,
/// when partitions are revoked, and when the consumer closes; with `enable.auto.commit=false` by
/// [`commit`](Self::commit) and [`close`](Self::close), by a runner as often as librdkafka would, and
/// as partitions are revoked: that one waits for the broker's answer inside of `recv`, and blocks its
/// thread.
///
/// A service that keeps its offsets itself says so by [`offsets`](Self::offsets).
///
/// # Runtime
///
/// It is made and used inside a tokio runtime with its timer enabled. To drop it blocks for a
/// moment (about 100 ms) while it leaves the group, and for `session.timeout.ms` while its brokers
/// are away; [`close`](Self::close) does that aside.
pub struct StreamConsumer<H: Hooks = DefaultHooks, O = Ours> {
    pub(super) client: Arc<Client<H>>,
    pub(super) source: Arc<dyn Source>,
    pub(super) settings: Arc<Settings>,
    pub(super) ownership: PhantomData<O>,
}

impl FromClientConfig for StreamConsumer {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        StreamConsumer::from_config_and_context(config, DefaultHooks)
    }
}

impl<H: Hooks> FromClientConfigAndContext<H> for StreamConsumer<H> {
    fn from_config_and_context(config: &ClientConfig, hooks: H) -> KafkaResult<Self> {
        let mut ours = config.clone();
        ours.set("enable.auto.offset.store", "false");
        let state = Arc::new(State::default());
        let auto_commit = config.get("enable.auto.commit").is_none_or(|value| {
            // As librdkafka reads it.
            !["false", "f", "0"].iter().any(|no| value.eq_ignore_ascii_case(no))
        });
        let context = HookedContext::new(hooks, Arc::clone(&state), auto_commit);
        let consumer = ours.create_with_context(context)?;
        let millis = |name, default| {
            let set = config.get(name).and_then(|text| text.parse().ok());
            Duration::from_millis(set.unwrap_or(default))
        };
        let patience = (millis("max.poll.interval.ms", MAX_POLL_INTERVAL) / 4).min(MAX_PATIENCE);
        let commits = match millis("auto.commit.interval.ms", COMMIT_INTERVAL) {
            // As for librdkafka.
            Duration::ZERO => NEVER,
            interval => interval.max(MIN_COMMIT_INTERVAL),
        };
        let client = Client::new(consumer, state, patience, (auto_commit, commits));
        let source: Arc<dyn Source> = Arc::clone(&client) as _;
        let settings = Arc::new(Settings::of(config));
        Ok(StreamConsumer { client, source, settings, ownership: PhantomData })
    }
}

impl<H: Hooks> StreamConsumer<H, Ours> {
    /// Leaves the offsets to the service, which then stores or commits them as it likes:
    /// `.offsets(Theirs)`. Nothing is stored here, nor committed, but for what librdkafka does by
    /// itself with what the service has stored, unless it has `enable.auto.commit=false`. Records are still given up only inside of their trace, and one that fails
    /// doesn't stop its partition. [`Hooks::start_at`] says where a partition is read from.
    #[must_use]
    pub fn offsets(self, _: Theirs) -> StreamConsumer<H, Theirs> {
        let StreamConsumer { client, source, settings, .. } = self;
        let mut settings = Arc::unwrap_or_clone(settings);
        settings.acknowledge = false;
        client.state.are_theirs.store(true, Relaxed);
        // What was handed out as ours acknowledges nothing any more.
        client.state.offsets.forget_all();
        StreamConsumer { client, source, settings: Arc::new(settings), ownership: PhantomData }
    }

    /// Commits what is acknowledged so far. [`CommitMode::Sync`] blocks until the broker answers.
    ///
    /// # Errors
    ///
    /// When the broker refuses. That there is nothing to commit is no error.
    pub fn commit(&self, mode: CommitMode) -> KafkaResult<()> {
        self.settle(|| self.client.commit(mode))
    }
}

impl<H: Hooks> StreamConsumer<H, Theirs> {
    /// Commits these offsets.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn commit(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()> {
        let offsets = copied(offsets)?;
        self.settle(|| self.client.consumer.commit(&offsets, mode))
    }

    /// Stores the offset of a record that was processed, for the next commit.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn store_offset(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        let place = (topic, partition, offset.saturating_add(1));
        self.client
            .state
            .offsets
            .stored([place], || self.client.consumer.store_offset(topic, partition, offset))
    }

    /// Stores these offsets for the next commit: each the one to go on with.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn store_offsets(&self, offsets: &TopicPartitionList) -> KafkaResult<()> {
        let copy = copied(offsets)?;
        let places = plain(offsets);
        let places = places
            .iter()
            .filter_map(|place| Some((place.topic.as_str(), place.partition, place.offset?)));
        let state = &self.client.state;
        state.offsets.stored(places, || self.client.consumer.store_offsets(&copy))
    }

    /// Commits that a record was processed, and all before it in its partition.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn commit_message(&self, message: Message<'_>, mode: CommitMode) -> KafkaResult<()> {
        let mut place = TopicPartitionList::with_capacity(1);
        let next = Offset::Offset(message.offset().saturating_add(1));
        place.add_partition_offset(message.topic(), message.partition(), next)?;
        self.commit(&place, mode)
    }

    /// Commits what was stored by [`store_offset`](Self::store_offset).
    ///
    /// # Errors
    ///
    /// When the broker refuses. That there is nothing to commit is no error.
    pub fn commit_stored(&self, mode: CommitMode) -> KafkaResult<()> {
        self.settle(|| self.client.commit(mode))
    }
}

impl<H: Hooks, O> StreamConsumer<H, O> {
    /// What the cluster tells of a topic, or of all. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn fetch_metadata(
        &self,
        topic: Option<&str>,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<Metadata> {
        self.client.consumer.fetch_metadata(topic, timeout)
    }

    /// The first and the next offset of a partition. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn fetch_watermarks(
        &self,
        topic: &str,
        partition: i32,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<(i64, i64)> {
        self.client.consumer.fetch_watermarks(topic, partition, timeout)
    }

    /// The membership in the group, for a producer's transaction.
    #[must_use]
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.client.consumer.group_metadata()
    }

    /// The client underneath, for what it tells of the cluster.
    #[must_use]
    pub fn client(&self) -> &NativeClient<HookedContext<H>> {
        self.client.consumer.client()
    }

    /// What became of the records so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.client.state.counts()
    }

    /// A loop that handles several records at once.
    pub fn runner(self) -> Runner<H, O> {
        Runner::new(self)
    }

    /// A loop that handles records in batches: of at most `max`, and of what comes within `wait`
    /// after the first; see [`recv_batch`](Self::recv_batch).
    pub fn batch_runner(self, max: usize, wait: Duration) -> BatchRunner<H, O> {
        BatchRunner::new(self, max, wait)
    }

    /// A handle that ends the loop over [`recv`](Self::recv), from wherever the service hears that
    /// it is to stop.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer(Arc::clone(&self.client.state))
    }

    /// Commits what is acknowledged, leaves the group, and closes, on a thread of its own. A rebalance
    /// that is under way is waited for, since it lets nobody commit.
    ///
    /// Without brokers that takes until the group would have given the consumer up anyway
    /// (`session.timeout.ms`), and twice as long if something is left to commit; whoever doesn't want
    /// to wait drops the future, and the thread goes on.
    ///
    /// # Errors
    ///
    /// When the last commit is refused, with `enable.auto.commit=false`; otherwise
    /// [`Hooks::commit_callback`] tells of it. The consumer is closed all the same.
    pub async fn close(self) -> KafkaResult<()> {
        let StreamConsumer { client, source, .. } = self;
        let (closed, closing) = oneshot::channel();
        let close = move || {
            // What librdkafka commits by itself is a part of closing, too; what it doesn't may be the
            // service's affair.
            let committed = match (client.auto_commit, client.commits_by_itself()) {
                (false, true) => Ok(()),
                (false, false) => commit_last(&client),
                (true, _) => commit_last(&client).or(Ok(())),
            };
            client.consumer.unsubscribe();
            drop((client, source));
            // Nobody has to wait.
            drop(closed.send(committed));
        };
        // Not one of the runtime's, which waits for its threads when it ends.
        #[expect(clippy::disallowed_methods, reason = "it is of no trace")]
        let thread = std::thread::Builder::new().name("kafka-closing".to_owned()).spawn(close);
        match thread {
            Ok(_) => closing.await.unwrap_or(Err(KafkaError::Canceled)),
            Err(error) => Err(KafkaError::ClientCreation(error.to_string())),
        }
    }
}

/// Ends the loop over [`recv`](StreamConsumer::recv).
#[derive(Clone, Debug)]
pub struct Closer(Arc<State>);

impl Closer {
    /// From now on `recv` returns `None`. What was handed out may still be processed.
    pub fn close(&self) {
        self.0.close();
    }
}

impl<H: Hooks, O> fmt::Debug for StreamConsumer<H, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConsumer").field("settings", &self.settings).finish_non_exhaustive()
    }
}
