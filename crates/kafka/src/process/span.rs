//! The span of a message.

use opentelemetry::Context;
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use throughline_core::messaging::{CreationContext, Destination, destination};
use throughline_core::{BoundarySpan, Description, Extraction, semconv};

use super::Message;
use crate::extract::RecordHeaders;
use crate::settings::{Settings, partition_id};

pub(super) const OPERATION: &str = "process";

/// Room for the attributes below, for how it ended, and for a few of the handler's.
const CAPACITY: usize = 14;

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
    if settings.creation_context == CreationContext::Link {
        return start_linked(settings, message, &extraction, retry);
    }
    let expects = settings.expects_parent(message.topic());
    settings.config.receive_expecting(extraction, expects, SpanKind::Consumer, || {
        let mut span = describe(settings, message, retry);
        if let Some(ambient) = ambient() {
            span.link(ambient);
        }
        span
    })
}

#[cold]
fn start_linked(
    settings: &Settings,
    message: Message<'_>,
    extraction: &Extraction,
    retry: Option<&Retry>,
) -> BoundarySpan {
    let (current, baggage) = (Context::current(), extraction.context().baggage());
    let parent = match baggage.is_empty() {
        true => current,
        false => current.with_baggage(baggage.iter().map(|(key, (value, properties))| {
            KeyValueMetadata::new(key.clone(), value.clone(), properties.clone())
        })),
    };
    settings.config.start_under(parent, SpanKind::Consumer, || {
        let mut span = describe(settings, message, retry);
        if extraction.lacks_context() && settings.expects_parent(message.topic()) {
            span.set(semconv::THROUGHLINE_PARENT_EXPECTED, true);
        }
        if let Some(sender) = extraction.to_link() {
            span.link(sender);
        }
        span
    })
}

#[inline]
fn describe(settings: &Settings, message: Message<'_>, retry: Option<&Retry>) -> Description {
    let Destination { name, destination } = destination(OPERATION, message.topic());
    let mut span = Description::new(name, CAPACITY);
    settings.describe(&mut span, OPERATION);
    span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
    let partition = partition_id(message.partition());
    span.set(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition);
    span.set(semconv::KAFKA_OFFSET, message.offset());
    if message.payload().is_none() {
        span.set(semconv::KAFKA_MESSAGE_TOMBSTONE, true);
    }
    if let Some(retry) = retry {
        retry.describe(&mut span);
    }
    span
}

/// Takes the context out of a message.
pub(crate) fn extract(settings: &Settings, message: Message<'_>) -> Extraction {
    settings.config.extract(&RecordHeaders(message.headers()))
}

fn ambient() -> Option<SpanContext> {
    Context::map_current(|current| {
        let span = current.span();
        let ambient = span.span_context();
        ambient.is_valid().then(|| ambient.clone())
    })
}
