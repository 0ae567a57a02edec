//! What librdkafka calls back when the broker has answered.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// Runs what isn't ours on the thread that polls.
fn guarded(what: &str, f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        tracing::error!("{what} of a Kafka producer panicked");
    }
}

impl<C: ClientContext + 'static> ProducerContext<NoCustomPartitioner> for TracedContext<C> {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, in_flight: Box<InFlight>) {
        let InFlight { span, sender } = *in_flight;
        let result = match result {
            Ok(message) => Ok(Delivery {
                partition: message.partition(),
                offset: message.offset(),
                timestamp: message.timestamp(),
            }),
            Err((error, message)) => Err((error.clone(), message.detach())),
        };
        // A processor of spans that panics must not take the thread along that polls: no send
        // would ever be answered again.
        guarded("the end of a span", || match &result {
            Ok(sent) => delivered(span, sent.partition, sent.offset),
            Err((error, _)) => refused(span, error),
        });
        // Nobody has to wait for the answer.
        drop(sender.send(result));
    }
}

impl<C: ClientContext> ClientContext for TracedContext<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        guarded("the log of the context", || self.0.log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        guarded("the hook stats", || self.0.stats(statistics));
    }

    fn stats_raw(&self, statistics: &[u8]) {
        guarded("the hook stats_raw", || self.0.stats_raw(statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        guarded("the hook error", || self.0.error(error, reason));
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.generate_oauth_token(config)
    }
}
