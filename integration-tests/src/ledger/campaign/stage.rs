use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use throughline::core::error_chain;
use throughline_testing::embedded::{Kafka, Sqs};

use super::cast::Cast;
use super::{Campaign, Kind, faults};
use crate::ledger::sqs::config;
use crate::ledger::{Error, Protocol};

/// How many partitions a topic has.
pub(super) const PARTITIONS: usize = 8;

/// For so long is the embedded Kafka down when it is.
const OUTAGE: Duration = Duration::from_secs(1);

/// The broker of a campaign.
pub(super) enum Stage {
    Kafka { brokers: String, topic: String, embedded: Option<Kafka> },
    Sqs { endpoint: String, url: String, client: Client, embedded: Option<Sqs> },
}

fn required(variable: &'static str, part: &'static str) -> Result<String, Error> {
    let value = std::env::var(variable).ok().filter(|value| !value.trim().is_empty());
    value.ok_or(Error::NoBroker { variable, part })
}

impl Stage {
    /// Finds the broker or starts it, and creates what is needed under a name of its own.
    pub(super) async fn set(campaign: &Campaign) -> Result<Self, Error> {
        let name = format!("ledger-{}-{:08x}", std::process::id(), unique());
        match campaign.kind {
            Kind::Straight | Kind::Unrest => {
                let brokers = required("KAFKA_BROKERS", "kafka")?;
                create_topic(&brokers, &name, PARTITIONS).await?;
                Ok(Stage::Kafka { brokers, topic: name, embedded: None })
            }
            Kind::EmbeddedKafka => {
                let kafka = Kafka::start()?;
                kafka.create_topic(&name, PARTITIONS)?;
                let brokers = kafka.brokers().to_owned();
                Ok(Stage::Kafka { brokers, topic: name, embedded: Some(kafka) })
            }
            Kind::Sqs | Kind::Fifo => {
                Stage::queue(required("SQS_ENDPOINT", "sqs")?, name, campaign.kind, None).await
            }
            Kind::EmbeddedSqs | Kind::EmbeddedFifo => {
                let sqs = Sqs::start()?;
                Stage::queue(sqs.endpoint().to_owned(), name, campaign.kind, Some(sqs)).await
            }
        }
    }

    async fn queue(
        endpoint: String,
        name: String,
        kind: Kind,
        embedded: Option<Sqs>,
    ) -> Result<Self, Error> {
        let client = Client::from_conf(config(&endpoint).build());
        let (name, attributes) = match kind.is_fifo() {
            true => (name + ".fifo", HashMap::from([(Name::FifoQueue, "true".to_owned())])),
            false => (name, HashMap::new()),
        };
        let request = client.create_queue().queue_name(name).set_attributes(Some(attributes));
        let created = request.send().await.map_err(|error| Error::Sqs(error_chain(&error)))?;
        let url = created.queue_url.ok_or_else(|| Error::Sqs("a queue without a URL".into()))?;
        Ok(Stage::Sqs { endpoint, url, client, embedded })
    }

    pub(super) fn is_kafka(&self) -> bool {
        matches!(self, Stage::Kafka { .. })
    }

    /// How the sender is started, but for what all have.
    pub(super) fn sender(&self, kind: Kind) -> Vec<String> {
        let mut words = match self {
            Stage::Kafka { brokers, topic, .. } => {
                words(&["produce", "--brokers", brokers, "--topic", topic])
            }
            Stage::Sqs { endpoint, url, .. } => {
                words(&["send", "--endpoint", endpoint, "--url", url])
            }
        };
        // The embedded Kafka forgets what lies too far back, and a queue has no need to be long.
        if kind == Kind::EmbeddedKafka || !self.is_kafka() {
            words.extend(["--ahead".to_owned(), "1000".to_owned()]);
        }
        words
    }

    /// How a consumer is started, but for what all have.
    pub(super) fn consumer(&self, protocol: Protocol) -> Vec<String> {
        match self {
            Stage::Kafka { brokers, topic, .. } => {
                let protocol = match protocol {
                    Protocol::Eager => "eager",
                    Protocol::Cooperative => "cooperative",
                    Protocol::Consumer => "consumer",
                };
                let broker = ["consume", "--brokers", brokers, "--topic", topic];
                words(&[&broker[..], &["--group", topic, "--protocol", protocol]].concat())
            }
            Stage::Sqs { endpoint, url, .. } => {
                words(&["receive", "--endpoint", endpoint, "--url", url])
            }
        }
    }

    /// Lets the broker do something wrong, and says so in the book.
    pub(super) async fn fail(&self, number: usize, cast: &Cast<'_>) -> Result<(), Error> {
        match self {
            Stage::Kafka { embedded: Some(kafka), .. } => match faults::of_kafka(number) {
                Some((request, errors)) => {
                    cast.fault(format!("{request:?} is refused: {errors:?}"))?;
                    kafka.fail_next(request, errors)?;
                }
                None => {
                    cast.fault("the broker goes down".to_owned())?;
                    kafka.broker_down()?;
                    tokio::time::sleep(OUTAGE).await;
                    kafka.broker_up()?;
                    cast.fault("the broker has come up".to_owned())?;
                }
            },
            Stage::Sqs { embedded: Some(sqs), .. } => {
                let (operation, count, fault) = faults::of_sqs(number);
                cast.fault(format!("{operation:?}: {count} times {fault:?}"))?;
                sqs.fail_next(operation, count, fault);
            }
            // What isn't ours does nothing wrong.
            Stage::Kafka { .. } | Stage::Sqs { .. } => {}
        }
        Ok(())
    }

    /// Whether nothing is left, by the broker's own account.
    pub(super) async fn is_empty(&self) -> Result<bool, Error> {
        let Stage::Sqs { client, url, .. } = self else { return Ok(true) };
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesDelayed,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = client.get_queue_attributes().queue_url(url);
        let told = request.set_attribute_names(Some(names.to_vec())).send().await;
        let told = told.map_err(|error| Error::Sqs(error_chain(&error)))?;
        let told = told.attributes.unwrap_or_default();
        Ok(names.iter().all(|name| told.get(name).is_some_and(|count| count == "0")))
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Tells a topic or a queue from those of campaigns before.
fn unique() -> u32 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.subsec_nanos())
}

/// Creates a topic; one that is there already is left as it is.
///
/// # Errors
///
/// When the broker refuses.
pub async fn create_topic(brokers: &str, topic: &str, partitions: usize) -> Result<(), Error> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for created in admin.create_topics([&new], &AdminOptions::new()).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(Error::Kafka(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}
