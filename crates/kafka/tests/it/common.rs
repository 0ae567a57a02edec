//! A cluster, a producer and a consumer that record into the same place.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::FutureRecord;
use throughline_kafka::{FutureProducer, StreamConsumer};
use throughline_testing::Recorder;
use throughline_testing::embedded::Kafka;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) kafka: Kafka,
    pub(crate) recorder: Recorder,
}

impl Rig {
    pub(crate) fn new(partitions: usize) -> Self {
        let kafka = Kafka::start().expect("an embedded Kafka");
        kafka.create_topic(TOPIC, partitions).expect("a topic");
        Rig { kafka, recorder: Recorder::new() }
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        let producer: FutureProducer = self.kafka.client_config().create().expect("a producer");
        producer.with_tracer_provider(&self.recorder.provider())
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = self.kafka.consumer_config("fulfilment");
        config.set("auto.commit.interval.ms", "100");
        config
    }

    pub(crate) fn consumer(&self) -> StreamConsumer {
        self.consumer_of(&self.config())
    }

    pub(crate) fn consumer_of(&self, config: &ClientConfig) -> StreamConsumer {
        let consumer: StreamConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[TOPIC]).expect("a subscription");
        consumer.with_tracer_provider(&self.recorder.provider())
    }
}

pub(crate) async fn send(producer: &FutureProducer, partition: i32, payload: &str) {
    let record = FutureRecord::to(TOPIC).partition(partition).key("k").payload(payload);
    producer.send(record, PATIENCE).await.expect("the broker takes it");
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
