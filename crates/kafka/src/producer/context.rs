//! What librdkafka calls back when the broker has answered.

use std::error::Error;
use std::fmt;

use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::future_producer::{Delivery, OwnedDeliveryResult};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use throughline_core::BoundarySpan;
use tokio::sync::oneshot;

use super::span::{delivered, refused};

/// Stands between librdkafka and the context of a producer: it ends the span of a record when the
/// broker has answered, whether or not anybody waits for that.
pub struct TracedContext<C>(C);

impl<C> TracedContext<C> {
    pub(super) fn new(context: C) -> Self {
        TracedContext(context)
    }

    /// The context that the producer was made with.
    #[must_use]
    pub fn inner(&self) -> &C {
        &self.0
    }
}

impl<C> fmt::Debug for TracedContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedContext").finish_non_exhaustive()
    }
}

/// A record on its way to the broker.
#[derive(Debug)]
pub struct InFlight {
    pub(super) span: BoundarySpan,
    pub(super) sender: oneshot::Sender<OwnedDeliveryResult>,
}

impl<C: ClientContext + 'static> ProducerContext<NoCustomPartitioner> for TracedContext<C> {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, in_flight: Box<InFlight>) {
        let InFlight { span, sender } = *in_flight;
        let result = match result {
            Ok(message) => {
                let (partition, offset) = (message.partition(), message.offset());
                delivered(span, partition, offset);
                Ok(Delivery { partition, offset, timestamp: message.timestamp() })
            }
            Err((error, message)) => {
                refused(span, error);
                Err((error.clone(), message.detach()))
            }
        };
        // Nobody has to wait for the answer.
        drop(sender.send(result));
    }
}

impl<C: ClientContext> ClientContext for TracedContext<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.generate_oauth_token(config)
    }
}
