//! What librdkafka calls back when the broker has answered.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::future_producer::{Delivery, OwnedDeliveryResult};
use rdkafka::producer::{NoCustomPartitioner, Partitioner, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Statistics};
use throughline_core::BoundarySpan;
use tokio::sync::oneshot;

use super::span::{delivered, refused};
use crate::quiet::Quiet;

/// The configuration of a producer that hears of every record: without the broker's answer no span
/// ends, and no send.
pub(super) fn told_all(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.set("delivery.report.only.error", "false");
    config
}

/// Stands between librdkafka and the context of a producer: it ends the span of a record when the
/// broker has answered, whether or not anybody waits for that.
pub struct TracedContext<C> {
    context: C,
    client_error: Quiet,
}

impl<C> TracedContext<C> {
    pub(super) fn new(context: C) -> Self {
        TracedContext { context, client_error: Quiet::default() }
    }

    /// The context that the producer was made with.
    #[must_use]
    pub fn inner(&self) -> &C {
        &self.context
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
fn guarded<T>(what: &str, f: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(f));
    if result.is_err() {
        tracing::error!("{what} of a Kafka producer panicked");
    }
    result.ok()
}

impl<C: ClientContext + 'static> ProducerContext<NoCustomPartitioner> for TracedContext<C> {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, in_flight: Box<InFlight>) {
        let InFlight { mut span, sender } = *in_flight;
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
            Ok(sent) => delivered(&mut span, sent.partition, sent.offset),
            Err((error, _)) => refused(&mut span, error),
        });
        // Nobody has to wait for the answer.
        drop(sender.send(result));
    }
}

/// Hands on to the user's context what has nothing to do with records.
macro_rules! hand_on {
    () => {
        const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

        fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
            guarded("the hook log", || self.context.log(level, facility, message));
        }

        fn stats(&self, statistics: Statistics) {
            guarded("the hook stats", || self.context.stats(statistics));
        }

        fn stats_raw(&self, statistics: &[u8]) {
            guarded("the hook stats_raw", || self.context.stats_raw(statistics));
        }

        fn error(&self, error: KafkaError, reason: &str) {
            guarded("the hook error", || {
                self.client_error.client_error("a Kafka producer", &error, reason);
                self.context.error(error, reason);
            });
        }

        fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
            guarded("the hook generate_oauth_token", || self.context.generate_oauth_token(config))
                .unwrap_or_else(|| Err("the hook generate_oauth_token panicked".into()))
        }
    };
}

impl<C: ClientContext> ClientContext for TracedContext<C> {
    hand_on!();
}

/// Stands between librdkafka and the context of a [`BaseProducer`](crate::BaseProducer) or a
/// [`ThreadedProducer`](crate::ThreadedProducer): the span of a record ends, then the user's own
/// callback hears of it, in the record's trace.
pub struct TracedProducerContext<C, Part = NoCustomPartitioner> {
    context: C,
    partitioner: PhantomData<fn() -> Part>,
    client_error: Quiet,
}

impl<C, Part> TracedProducerContext<C, Part> {
    pub(super) fn new(context: C) -> Self {
        TracedProducerContext { context, partitioner: PhantomData, client_error: Quiet::default() }
    }

    /// The context that the producer was made with.
    #[must_use]
    pub fn inner(&self) -> &C {
        &self.context
    }
}

impl<C, Part> fmt::Debug for TracedProducerContext<C, Part> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedProducerContext").finish_non_exhaustive()
    }
}

/// A record on its way to the broker, with what the user sent along.
#[derive(Debug)]
pub struct Queued<D> {
    pub(super) span: BoundarySpan,
    pub(super) opaque: D,
}

impl<C, Part> ProducerContext<Self> for TracedProducerContext<C, Part>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    type DeliveryOpaque = Box<Queued<C::DeliveryOpaque>>;

    fn delivery(&self, result: &DeliveryResult<'_>, queued: Self::DeliveryOpaque) {
        let Queued { mut span, opaque } = *queued;
        guarded("the end of a span", || match result {
            Ok(message) => delivered(&mut span, message.partition(), message.offset()),
            Err((error, _)) => refused(&mut span, error),
        });
        guarded("the hook delivery", || {
            span.enter(|| self.context.delivery(result, opaque));
        });
    }

    fn get_custom_partitioner(&self) -> Option<&Self> {
        self.context.get_custom_partitioner().map(|_| self)
    }
}

/// The user's partitioner: one that panics would take the process along, out of librdkafka's thread.
impl<C, Part> Partitioner for TracedProducerContext<C, Part>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    fn partition(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        count: i32,
        is_available: impl Fn(i32) -> bool,
    ) -> i32 {
        let chosen = guarded("the partitioner", || {
            let user = self.context.get_custom_partitioner()?;
            Some(user.partition(topic, key, count, is_available))
        });
        // One that isn't there: the record is refused at once. With `PARTITION_UA` it would wait for
        // `message.timeout.ms` first.
        chosen.flatten().unwrap_or(count)
    }
}

impl<C: ClientContext, Part> ClientContext for TracedProducerContext<C, Part> {
    hand_on!();
}
