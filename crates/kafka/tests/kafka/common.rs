//! A cluster, a producer and a consumer that record into the same place.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::FutureRecord;
use throughline_kafka::{FutureProducer, StreamConsumer};
use throughline_testing::Recorder;
use throughline_testing::embedded::Kafka;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What every topic of a test is called on the embedded Kafka, where each test has its own.
const TOPIC: &str = "orders";

/// Where the tests run: on the embedded Kafka, or on a real one that `KAFKA_BROKERS` names.
#[derive(Debug)]
enum Cluster {
    Embedded(Kafka),
    Real { brokers: String, number: u32 },
}

#[derive(Debug)]
pub(crate) struct Rig {
    cluster: Cluster,
    topic: String,
    pub(crate) recorder: Recorder,
}

impl Rig {
    pub(crate) async fn new(partitions: usize) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let brokers = std::env::var("KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
        let Some(brokers) = brokers else { return Rig::embedded(partitions) };
        let number = NUMBER.fetch_add(1, SeqCst);
        let topic = format!("{TOPIC}-{}-{number}", std::process::id());
        let cluster = Cluster::Real { brokers, number };
        let rig = Rig { cluster, topic, recorder: Recorder::new() };
        rig.create_topic(&rig.topic, partitions).await;
        rig
    }

    /// For tests in which the broker fails as it is told.
    pub(crate) fn embedded(partitions: usize) -> Self {
        let kafka = Kafka::start().expect("an embedded Kafka");
        kafka.create_topic(TOPIC, partitions).expect("a topic");
        let cluster = Cluster::Embedded(kafka);
        Rig { cluster, topic: TOPIC.to_owned(), recorder: Recorder::new() }
    }

    pub(crate) fn kafka(&self) -> &Kafka {
        match &self.cluster {
            Cluster::Embedded(kafka) => kafka,
            Cluster::Real { .. } => panic!("a real broker does not fail as it is told"),
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) async fn create_topic(&self, name: &str, partitions: usize) {
        match &self.cluster {
            Cluster::Embedded(kafka) => kafka.create_topic(name, partitions).expect("a topic"),
            Cluster::Real { .. } => {
                let admin: AdminClient<DefaultClientContext> =
                    self.client_config().create().expect("an admin client");
                let partitions = i32::try_from(partitions).expect("a few");
                // As large as the largest record of these tests.
                let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1))
                    .set("max.message.bytes", "4000000");
                let created = admin.create_topics([&topic], &AdminOptions::new()).await;
                created.expect("an answer").into_iter().for_each(|topic| {
                    topic.expect("a topic");
                });
            }
        }
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        match &self.cluster {
            Cluster::Embedded(kafka) => kafka.client_config(),
            Cluster::Real { brokers, .. } => {
                let mut config = ClientConfig::new();
                config.set("bootstrap.servers", brokers);
                config
            }
        }
    }

    pub(crate) fn consumer_config(&self, group: &str) -> ClientConfig {
        match &self.cluster {
            Cluster::Embedded(kafka) => kafka.consumer_config(group),
            Cluster::Real { number, .. } => {
                let mut config = self.client_config();
                config.set("group.id", format!("{group}-{}-{number}", std::process::id()));
                config.set("group.protocol", "consumer").set("auto.offset.reset", "earliest");
                config
            }
        }
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        let producer: FutureProducer = self.client_config().create().expect("a producer");
        producer.with_tracer_provider(&self.recorder.provider())
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = self.consumer_config("fulfilment");
        config.set("auto.commit.interval.ms", "100");
        config
    }

    pub(crate) async fn send(&self, producer: &FutureProducer, partition: i32, payload: &str) {
        let record = FutureRecord::to(&self.topic).partition(partition).key("k").payload(payload);
        producer.send(record, PATIENCE).await.expect("the broker takes it");
    }

    /// Compares with a tree in which the topic is `orders`.
    #[track_caller]
    pub(crate) fn assert_tree(&self, expected: &str) {
        self.recorder.assert_tree(&expected.replace(TOPIC, &self.topic));
    }

    pub(crate) fn consumer(&self) -> StreamConsumer {
        self.consumer_of(&self.config())
    }

    pub(crate) fn consumer_of(&self, config: &ClientConfig) -> StreamConsumer {
        let consumer: StreamConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[&self.topic]).expect("a subscription");
        consumer.with_tracer_provider(&self.recorder.provider())
    }
}

/// Waits no longer than the tests' patience.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

pub(crate) fn text(payload: Option<&[u8]>) -> String {
    String::from_utf8_lossy(payload.unwrap_or_default()).into_owned()
}
