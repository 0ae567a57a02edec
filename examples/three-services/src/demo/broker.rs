//! The Kafka of a run: an embedded one, unless there is one already.

use throughline_testing::embedded;

use crate::error::Error;
use crate::legs::kafka::{PARTITIONS, TOPIC};
use crate::services::brokers_given;

pub(super) enum Broker {
    Embedded(embedded::Kafka),
    Given(String),
}

impl Broker {
    /// The one of the environment, else one of our own. The topic of the latter is made here: it
    /// understands no client that wants to.
    pub(super) fn ready() -> Result<Self, Error> {
        if let Some(brokers) = brokers_given() {
            return Ok(Broker::Given(brokers));
        }
        let kafka = embedded::Kafka::start().map_err(Error::EmbeddedKafka)?;
        kafka.create_topic(TOPIC, PARTITIONS as usize).map_err(Error::EmbeddedKafka)?;
        Ok(Broker::Embedded(kafka))
    }

    pub(super) fn brokers(&self) -> &str {
        match self {
            Broker::Embedded(kafka) => kafka.brokers(),
            Broker::Given(brokers) => brokers,
        }
    }
}
