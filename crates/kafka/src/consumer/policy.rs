//! What becomes of a message whose handler fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opentelemetry::trace::SpanContext;
use rdkafka::ClientContext;
use throughline_core::http::redact_text;

use super::plan::Tried;
use crate::process::{Message, OwnedMessage};
use crate::producer::{ForwardError, FutureProducer};

/// What a [`Runner`](super::Runner) does with a record whose handler failed or panicked, after its
/// last try.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// Stops: what runs is finished, nothing behind the record is acknowledged, and
    /// [`run`](super::Runner::run) returns the error. The default, since it loses nothing.
    #[default]
    Stop,
    /// Goes on, and acknowledges the record as if it had succeeded. It is lost, but for its span
    /// and a line in the log.
    Skip,
    /// Sends the record to another topic, and goes on once the broker has it there. If that fails,
    /// it stops.
    DeadLetter(DeadLetter),
}

/// Another topic, for records that cannot be handled.
///
/// They keep key, payload and headers, and their trace: the context in them is that of the span
/// they are sent in, a child of the failed one (of a batch a child of the record's own send), which
/// is linked to the span of the first try. What went wrong is in the headers
/// [`TOPIC`](Self::TOPIC), [`PARTITION`](Self::PARTITION), [`OFFSET`](Self::OFFSET),
/// [`ATTEMPTS`](Self::ATTEMPTS) and [`CAUSE`](Self::CAUSE).
#[derive(Clone)]
pub struct DeadLetter {
    producer: Arc<dyn Forward>,
    pub(super) topic: Arc<str>,
}

/// How long the cause in a header may get, in bytes.
const MAX_CAUSE: usize = 1024;

impl DeadLetter {
    /// The header with the topic that the record was read from.
    pub const TOPIC: &str = "dead-letter-topic";
    /// The header with the partition that the record was read from.
    pub const PARTITION: &str = "dead-letter-partition";
    /// The header with the record's offset.
    pub const OFFSET: &str = "dead-letter-offset";
    /// The header that tells how often the handler was tried.
    pub const ATTEMPTS: &str = "dead-letter-attempts";
    /// The header that tells why the last try failed: at most 1 KiB, secrets in URLs redacted.
    pub const CAUSE: &str = "dead-letter-cause";

    /// Sends records that cannot be handled to `topic`.
    pub fn new<C>(producer: FutureProducer<C>, topic: impl Into<String>) -> Self
    where
        C: ClientContext + 'static,
    {
        DeadLetter { producer: Arc::new(producer), topic: topic.into().into() }
    }

    pub(super) async fn send(
        &self,
        message: &OwnedMessage,
        tried: &Tried<'_>,
    ) -> Result<(), ForwardError> {
        let cause = tried.reason.to_string();
        let mut cause = redact_text(&cause).into_owned();
        let end = (0..=MAX_CAUSE.min(cause.len())).rev().find(|end| cause.is_char_boundary(*end));
        cause.truncate(end.unwrap_or(0));
        let headers = [
            (Self::TOPIC, message.topic().to_owned()),
            (Self::PARTITION, message.partition().to_string()),
            (Self::OFFSET, message.offset().to_string()),
            (Self::ATTEMPTS, tried.attempts.to_string()),
            (Self::CAUSE, cause),
        ];
        let message = message.as_message();
        self.producer.forward(message, &self.topic, &headers, tried.first).await
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// A producer, whatever its context.
trait Forward: Send + Sync {
    fn forward<'a>(
        &'a self,
        message: Message<'a>,
        topic: &'a str,
        headers: &'a [(&'a str, String)],
        link: Option<&'a SpanContext>,
    ) -> BoxFuture<'a, Result<(), ForwardError>>;
}

impl<C: ClientContext + 'static> Forward for FutureProducer<C> {
    fn forward<'a>(
        &'a self,
        message: Message<'a>,
        topic: &'a str,
        headers: &'a [(&'a str, String)],
        link: Option<&'a SpanContext>,
    ) -> BoxFuture<'a, Result<(), ForwardError>> {
        async move { self.forward_with(message, topic, headers, link).await.map(|_| ()) }.boxed()
    }
}

/// How often a handler is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pub(super) tries: u32,
    pub(super) backoff: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Tries { tries: 1, backoff: Duration::ZERO }
    }
}

/// No wait is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

impl Tries {
    /// How long to wait after this many tries; `None` if that was the last one.
    pub(super) fn wait_after(&self, tried: u32) -> Option<Duration> {
        (tried < self.tries).then(|| {
            let factor = 1_u32 << (tried - 1).min(16);
            self.backoff.saturating_mul(factor).min(MAX_BACKOFF)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_end() {
        let tries = Tries { tries: 12, backoff: Duration::from_millis(100) };
        assert_eq!(tries.wait_after(1), Some(Duration::from_millis(100)));
        assert_eq!(tries.wait_after(3), Some(Duration::from_millis(400)));
        assert_eq!(tries.wait_after(11), Some(MAX_BACKOFF));
        assert_eq!(tries.wait_after(12), None);
        assert_eq!(Tries::default().wait_after(1), None);
    }
}
