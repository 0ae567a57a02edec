//! orders → fulfilment over Kafka: an order is placed, and whoever wants to know of it does.

use std::error::Error;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{FutureRecord, Producer};
use throughline::kafka::{FutureProducer, Hooks, StreamConsumer};

use crate::order::PlacedOrder;

/// The topic of the orders that were placed.
pub(crate) const TOPIC: &str = "placed-orders";
pub(crate) const PARTITIONS: i32 = 3;

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Tells of orders that were placed.
pub(crate) enum Announcer {
    Traced(FutureProducer),
    Raw(rdkafka::producer::FutureProducer),
}

impl Announcer {
    pub(crate) fn new(brokers: &str, raw: bool) -> KafkaResult<Self> {
        let mut config = client_config(brokers);
        // Shorter than a customer waits.
        config.set("message.timeout.ms", ANSWER.as_millis().to_string());
        Ok(if raw { Announcer::Raw(config.create()?) } else { Announcer::Traced(config.create()?) })
    }

    /// Waits until the broker has the event.
    pub(crate) async fn announce(
        &self,
        order: &PlacedOrder,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let event = serde_json::to_vec(order)?;
        let record = FutureRecord::to(TOPIC).key(&order.order.id).payload(&event);
        let sent = match self {
            Announcer::Traced(producer) => producer.send(record, ANSWER).await,
            #[expect(clippy::disallowed_methods, reason = "the break that the demo shows")]
            Announcer::Raw(producer) => producer.send(record, ANSWER).await,
        };
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Waits until the broker has what was given up halfway, by callers that hung up. Blocks.
    pub(crate) fn flush(&self) -> KafkaResult<()> {
        match self {
            Announcer::Traced(producer) => producer.flush(ANSWER),
            Announcer::Raw(producer) => producer.flush(ANSWER),
        }
    }
}

/// A consumer of orders that were placed: one that comes without its trace has lost it.
pub(crate) fn consumer<H: Hooks>(
    brokers: &str,
    group: &str,
    hooks: H,
) -> KafkaResult<StreamConsumer<H>> {
    let mut config = client_config(brokers);
    config
        .set("group.id", group)
        .set("group.protocol", "consumer")
        .set("auto.offset.reset", "earliest")
        // A broker answers sooner when there is something; the embedded one doesn't.
        .set("fetch.wait.max.ms", "20");
    let consumer: StreamConsumer<H> = config.create_with_context(hooks)?;
    consumer.subscribe(&[TOPIC])?;
    Ok(consumer.expect_parent(true))
}

/// Creates the topic unless it is there.
pub(crate) async fn create_topic(brokers: &str) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(brokers).create()?;
    // Of all topics: to ask for a certain one may create it, as somebody else thinks right.
    let ask = move || admin.inner().fetch_metadata(None, ANSWER).map(|found| (admin, found));
    let asked = throughline::task::spawn_blocking(ask).await;
    let (admin, found) = asked.map_err(|_| KafkaError::Canceled)??;
    if found.topics().iter().any(|topic| topic.name() == TOPIC) {
        return Ok(());
    }
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let created = admin.create_topics([&topic], &options).await?;
    match created.into_iter().next() {
        // Somebody was faster: it comes to the same.
        None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
    }
}

fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}
