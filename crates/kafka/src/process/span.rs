//! The span of a message.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::SpanContext;
use throughline_core::messaging::{self, Destination, destination};
use throughline_core::{BoundarySpan, Description, Extraction, semconv};

use super::Message;
use crate::extract::RecordHeaders;
use crate::settings::{PROCESS, Settings, partition_id, tell};

/// Room for the attributes below, for how it ended, and for a few of the handler's.
const CAPACITY: usize = 17;

/// A further try of what has failed before.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// Which one it is; the second is the first of these.
    pub(crate) attempt: u32,
    /// The span of the first one; `None` where that wasn't recorded.
    pub(crate) first: Option<SpanContext>,
}

impl Retry {
    pub(super) fn describe(&self, span: &mut Description) {
        span.set(semconv::THROUGHLINE_ATTEMPT, i64::from(self.attempt));
        if let Some(first) = &self.first {
            span.link(first.clone());
        }
    }
}

/// Starts the span of a message, in the trace that it came with. Whatever is current here, the
/// consumer's own loop for one, is linked to; or the other way round.
pub(crate) fn start(
    settings: &Settings,
    message: Message<'_>,
    extraction: Extraction,
    retry: Option<&Retry>,
) -> BoundarySpan {
    let how = (settings.creation_context, expects_parent(settings, message, retry));
    let describe = || describe(settings, message, retry);
    let mut span = messaging::process(&settings.config, extraction, how, describe);
    measure(settings, &mut span, message, retry);
    span
}

/// A message is consumed once, however often it is tried.
#[inline]
fn measure(
    settings: &Settings,
    span: &mut BoundarySpan,
    message: Message<'_>,
    retry: Option<&Retry>,
) {
    let messages = retry.is_none().then_some(1);
    settings.measure(span, PROCESS, Some(message.topic()), messages);
}

#[inline]
fn describe(settings: &Settings, message: Message<'_>, retry: Option<&Retry>) -> Description {
    let Destination { name, destination } = destination(PROCESS.name, message.topic());
    let mut span = Description::new(name, CAPACITY);
    settings.describe(&mut span, PROCESS);
    span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
    let partition = partition_id(message.partition());
    span.set(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition);
    tell(semconv::KAFKA_OFFSET, message.offset(), |key, value| span.set(key, value));
    settings.tell_key(message.key(), |key, value| span.set(key, value));
    if message.payload().is_none() {
        tell(semconv::KAFKA_MESSAGE_TOMBSTONE, true, |key, value| span.set(key, value));
    }
    if let Some(age) = age(message, now()) {
        span.set(semconv::THROUGHLINE_MESSAGE_AGE, age);
    }
    if let Some(retry) = retry {
        retry.describe(&mut span);
    }
    span
}

/// Takes the context out of a message; counted once, however often the message is tried.
#[inline]
pub(crate) fn extract(
    settings: &Settings,
    message: Message<'_>,
    retry: Option<&Retry>,
) -> Extraction {
    match retry {
        None => settings.config.extract(&RecordHeaders(message.headers())),
        Some(_) => extract_again(settings, message),
    }
}

/// The same for one whose context was counted.
#[cold]
pub(crate) fn extract_again(settings: &Settings, message: Message<'_>) -> Extraction {
    settings.config.extract_again(&RecordHeaders(message.headers()))
}

/// Whether it is a break that a message brings no context: one is told once.
pub(crate) fn expects_parent(
    settings: &Settings,
    message: Message<'_>,
    retry: Option<&Retry>,
) -> bool {
    retry.is_none() && settings.expects_parent(message.topic())
}

/// In milliseconds since 1970, as Kafka counts.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How old a message is, in milliseconds; the clocks of its sender and of this host may differ.
pub(super) fn age(message: Message<'_>, now: i64) -> Option<i64> {
    message.timestamp().to_millis().map(|sent| now.saturating_sub(sent).max(0))
}
