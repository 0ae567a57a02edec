mod request;

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaRespErr;

pub use request::KafkaRequest;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&Cluster) + Send>;

const ALL_BROKERS: i32 = -1;

/// A Kafka cluster on real sockets: librdkafka's, made for its own tests.
///
/// It speaks Kafka's protocol over TCP on 127.0.0.1, so that any client reaches it by
/// [`brokers`](Self::brokers), those of other processes and languages too. Headers (their order,
/// doubled ones, binary values and none), idempotent producers, groups, commits and rebalances are
/// as with a real broker. It runs on threads of its own, needs no runtime, and stops when it is
/// dropped.
///
/// ```
/// use std::time::Duration;
///
/// use rdkafka::Message;
/// use rdkafka::consumer::{Consumer, StreamConsumer};
/// use rdkafka::producer::{FutureProducer, FutureRecord};
/// use throughline_testing::embedded::Kafka;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kafka = Kafka::start()?;
/// kafka.create_topic("orders", 3)?;
///
/// let producer: FutureProducer = kafka.client_config().create()?;
/// let record = FutureRecord::to("orders").key("42").payload("one book");
/// producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
///
/// let consumer: StreamConsumer = kafka.consumer_config("fulfilment").create()?;
/// consumer.subscribe(&["orders"])?;
/// let message = consumer.recv().await?;
/// assert_eq!(message.payload(), Some(&b"one book"[..]));
/// # Ok(()) }
/// ```
///
/// # What it is not
///
/// - **It keeps about 5 MB, and 100,000 batches, a partition.** What is older is dropped, read or
///   not: a producer that is far ahead of its consumers waits for them, or the test finds messages
///   lost that a real broker has.
/// - No offset is found by a time.
/// - Messages of an aborted transaction are delivered.
/// - A group by `cooperative-sticky` doesn't settle.
/// - Topics aren't created by the admin protocol, but by [`create_topic`](Self::create_topic).
///   What a producer sends to another makes one, of four partitions; a group that subscribes to one
///   that isn't there waits in vain: create it first.
/// - Who leaves a group that it looks after waits for an answer: stop and close consumers before it is
///   dropped. Those that are left to a runtime's end, after it, take the 45 seconds of a session each.
/// - Nothing is kept on disk, and nothing is encrypted or authenticated.
#[derive(Debug)]
pub struct Kafka {
    brokers: String,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a [`Kafka`] can't start, or doesn't do what it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// The cluster can't be started.
    #[error("can't start an embedded Kafka of {brokers} broker(s): {source}")]
    Start {
        /// How many brokers it was to have.
        brokers: usize,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// The cluster's thread can't be started.
    #[error("can't start a thread for an embedded Kafka: {0}")]
    Thread(std::io::Error),
    /// The cluster refuses what it is told.
    #[error("the embedded Kafka can't {what}: {source}")]
    Refused {
        /// What it was told.
        what: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// The cluster's thread is gone.
    #[error("the embedded Kafka is gone: its thread panicked")]
    Gone,
}

impl Kafka {
    /// Starts one of a single broker, on a port that is free.
    ///
    /// # Errors
    ///
    /// When the operating system has no port or thread to give.
    pub fn start() -> Result<Self, KafkaError> {
        Kafka::with_brokers(1)
    }

    /// Starts one of so many brokers, over which the partitions are spread.
    ///
    /// # Errors
    ///
    /// When there are to be none, or the operating system has no ports or thread to give.
    pub fn with_brokers(brokers: usize) -> Result<Self, KafkaError> {
        let (commands, received) = mpsc::channel();
        let (started, start) = mpsc::sync_channel(1);
        // The cluster can't leave the thread that made it.
        let run = move || match cluster(brokers) {
            Ok(cluster) => {
                if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                    obey(&cluster, &received);
                }
            }
            Err(error) => drop(started.send(Err(error))),
        };
        #[expect(clippy::disallowed_methods, reason = "a broker is of no trace")]
        let thread = thread::Builder::new().name("embedded-kafka".to_owned()).spawn(run);
        let thread = Some(thread.map_err(KafkaError::Thread)?);
        match start.recv() {
            Ok(Ok(servers)) => Ok(Kafka { brokers: servers, commands: Some(commands), thread }),
            Ok(Err(source)) => Err(KafkaError::Start { brokers, source }),
            Err(_) => Err(KafkaError::Gone),
        }
    }

    /// Where it is, as `bootstrap.servers` wants it.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What any client needs to reach it: `bootstrap.servers`.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// What a consumer of this group needs to read a topic from its beginning.
    ///
    /// The group is of Kafka's newer protocol (`group.protocol=consumer`), which joins here in a
    /// sixth of a second; the classic one takes three. It knows no `session.timeout.ms`,
    /// `heartbeat.interval.ms` and `partition.assignment.strategy`: who needs these sets
    /// `group.protocol` to `classic`.
    #[must_use]
    pub fn consumer_config(&self, group: &str) -> ClientConfig {
        let mut config = self.client_config();
        config.set("group.id", group);
        config.set("group.protocol", "consumer");
        config.set("auto.offset.reset", "earliest");
        // It answers a fetch when there are records or the time is up, and isn't woken by new ones.
        config.set("fetch.wait.max.ms", "10");
        config
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// When the name or the number of partitions isn't valid, or the topic is there already.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<(), KafkaError> {
        let what = format!("create the topic `{name}` of {partitions} partition(s)");
        let (name, partitions) = (name.to_owned(), i32::try_from(partitions).unwrap_or(i32::MAX));
        self.command(what, move |cluster| cluster.create_topic(&name, partitions, 1))
    }

    /// Refuses the next produce requests, each with the next of these errors.
    ///
    /// A request carries all that a producer has queued for a partition. By `PolicyViolation` and
    /// `InvalidRecord` it fails; on an error that may pass, such as `NotEnoughReplicas`, the producer
    /// tries again; after `TopicAuthorizationFailed` it refuses all that follows by itself.
    /// `BrokerTransportFailure` cuts the connection.
    ///
    /// By an error that leaves open whether the records were stored, `RequestTimedOut`, an idempotent
    /// producer can be deceived here: when its next request goes well it concludes that they were, and
    /// a real broker would have refused that one, by its number.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rdkafka::error::RDKafkaErrorCode;
    /// # use rdkafka::producer::{FutureProducer, FutureRecord};
    /// # use throughline_testing::embedded::Kafka;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kafka = Kafka::start()?;
    /// # let producer: FutureProducer = kafka.client_config().create()?;
    /// kafka.fail_produce(&[RDKafkaErrorCode::PolicyViolation])?;
    /// let record = FutureRecord::<(), _>::to("orders").payload("refused");
    /// let (error, _) = producer.send(record, Duration::from_secs(5)).await.unwrap_err();
    /// assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PolicyViolation));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the cluster is gone.
    pub fn fail_produce(&self, errors: &[RDKafkaErrorCode]) -> Result<(), KafkaError> {
        self.fail_next(KafkaRequest::Produce, errors)
    }

    /// Refuses the next requests of this kind, each with the next of these errors, after those that are
    /// to be refused already. `BrokerTransportFailure` cuts the connection.
    ///
    /// What the cluster is made of, and the one request of the newer group protocol, are answered
    /// whatever comes. A `SyncGroup` that is refused by `RebalanceInProgress` costs its member a
    /// session: the cluster begins no such rebalance. The first `FindCoordinator` of a client can be
    /// refused unseen, since librdkafka drops the connection by which it came in as soon as it knows
    /// the brokers: two errors are told once.
    ///
    /// # Errors
    ///
    /// When the cluster is gone.
    pub fn fail_next(
        &self,
        request: KafkaRequest,
        errors: &[RDKafkaErrorCode],
    ) -> Result<(), KafkaError> {
        let errors: Vec<_> = errors.iter().copied().map(native).collect();
        self.command(format!("refuse {request:?}"), move |cluster| {
            cluster.request_errors(request.native(), &errors);
            Ok(())
        })
    }

    /// Tells who asks for this topic of an error, or of none any more. Created if it isn't there.
    ///
    /// Clients see it when they next ask what the cluster is made of: a producer of a topic that it
    /// knows already goes on.
    ///
    /// # Errors
    ///
    /// When the name isn't valid.
    pub fn topic_error(
        &self,
        topic: &str,
        error: Option<RDKafkaErrorCode>,
    ) -> Result<(), KafkaError> {
        let what = format!("set the error of the topic `{topic}`");
        let error = error.map_or(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, native);
        let topic = topic.to_owned();
        self.command(what, move |cluster| cluster.topic_error(&topic, error))
    }

    /// Cuts every connection and takes no new ones, until [`broker_up`](Self::broker_up).
    /// What was stored stays.
    ///
    /// # Errors
    ///
    /// When the cluster is gone.
    pub fn broker_down(&self) -> Result<(), KafkaError> {
        self.command("go down".to_owned(), |cluster| cluster.broker_down(ALL_BROKERS))
    }

    /// Takes connections again, at the same address.
    ///
    /// # Errors
    ///
    /// When the cluster is gone.
    pub fn broker_up(&self) -> Result<(), KafkaError> {
        self.command("come up".to_owned(), |cluster| cluster.broker_up(ALL_BROKERS))
    }

    /// Answers each request so much later; in whole milliseconds.
    ///
    /// # Errors
    ///
    /// When the cluster is gone.
    pub fn round_trip_time(&self, delay: Duration) -> Result<(), KafkaError> {
        self.command("answer later".to_owned(), move |cluster| {
            cluster.broker_round_trip_time(ALL_BROKERS, delay)
        })
    }

    fn command(
        &self,
        what: String,
        command: impl FnOnce(&Cluster) -> KafkaResult<()> + Send + 'static,
    ) -> Result<(), KafkaError> {
        let (answer, answered) = mpsc::sync_channel(1);
        // Nobody waits for an answer once the thread that asked has panicked.
        let command: Command = Box::new(move |cluster| drop(answer.send(command(cluster))));
        let commands = self.commands.as_ref().ok_or(KafkaError::Gone)?;
        commands.send(command).map_err(|_| KafkaError::Gone)?;
        let result = answered.recv().map_err(|_| KafkaError::Gone)?;
        result.map_err(|source| KafkaError::Refused { what, source })
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        drop(self.commands.take());
        // Its only error is a panic, which has been told.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn cluster(brokers: usize) -> KafkaResult<Cluster> {
    match i32::try_from(brokers) {
        Ok(brokers @ 1..) => MockCluster::new(brokers),
        // The mock takes none as well, and would be nowhere.
        _ => Err(rdkafka::error::KafkaError::MockCluster(RDKafkaErrorCode::InvalidArgument)),
    }
}

/// Does what it is told, until there is nobody left to tell it.
fn obey(cluster: &Cluster, commands: &Receiver<Command>) {
    for command in commands {
        command(cluster);
    }
}

fn native(error: RDKafkaErrorCode) -> RDKafkaRespErr {
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN;
    RDKafkaRespErr::try_from(error as i32).unwrap_or(unknown)
}
