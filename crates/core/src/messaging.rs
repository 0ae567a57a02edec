//! What the boundaries of queues share.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use opentelemetry::{Context, StringValue, Value};

use crate::extract::Sender;
use crate::metrics::Labels;
use crate::semconv::{self, replaced};
use crate::span::{BoundarySpan, Description};
use crate::{Config, Extraction, inject, stability};

/// A span's name and its `messaging.destination.name`.
#[derive(Clone, Debug)]
pub struct Destination {
    /// `send orders`
    pub name: Cow<'static, str>,
    /// `orders`
    pub destination: Value,
}

/// Names a span after what is done (`send`, `process`) and the topic or queue it is done with,
/// without an allocation once the pair was seen.
#[must_use]
#[inline]
pub fn destination(operation: &'static str, name: &str) -> Destination {
    match crate::http::interned(operation, name) {
        Some(interned) => {
            let name = &interned[operation.len() + 1..];
            let destination = Value::String(StringValue::from(name));
            Destination { name: Cow::Borrowed(interned), destination }
        }
        None => Destination {
            name: Cow::Owned(format!("{operation} {name}")),
            destination: Value::from(name.to_owned()),
        },
    }
}

/// What the context that a message was created in is to the span that processes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreationContext {
    /// The parent: the processing goes on in the trace of the sender, and is linked to whatever is
    /// current where it runs. The default.
    #[default]
    Parent,
    /// A link: the processing is a child of whatever is current where it runs, else the root of a
    /// trace of its own.
    Link,
}

/// Starts the span in which one message is processed, of kind CONSUMER: in the trace that it came
/// with and linked to whatever is current, or the other way round. Its baggage holds either way.
///
/// `expect_parent` as in [`Config::receive_expecting`].
#[inline]
pub fn process(
    config: &Config,
    extraction: Extraction,
    (is, expect_parent): (CreationContext, bool),
    describe: impl FnOnce() -> Description,
) -> BoundarySpan {
    if is == CreationContext::Link {
        return process_linked(config, &extraction, expect_parent, describe);
    }
    config.receive_expecting(extraction, expect_parent, SpanKind::Consumer, || {
        let mut span = describe();
        if let Some(ambient) = ambient() {
            span.link(ambient);
        }
        span
    })
}

/// Starts the span in which messages are processed together, of kind CONSUMER, as a child of
/// whatever is current: none of them can be the parent. `describe` links them.
///
/// Where a handler copies what one of them brought into what it sends, that gives way to the context of
/// the send, as for a message that is processed alone.
pub fn process_batch(
    config: &Config,
    senders: &[Sender],
    describe: impl FnOnce() -> Description,
) -> BoundarySpan {
    let parent = Sender::keep_out(Context::current(), senders);
    config.start_under(parent, SpanKind::Consumer, describe)
}

#[cold]
fn process_linked(
    config: &Config,
    extraction: &Extraction,
    expect_parent: bool,
    describe: impl FnOnce() -> Description,
) -> BoundarySpan {
    let (mut parent, baggage) = (Context::current(), extraction.context().baggage());
    if !baggage.is_empty() {
        parent = parent.with_baggage(baggage.iter().map(|(key, (value, properties))| {
            KeyValueMetadata::new(key.clone(), value.clone(), properties.clone())
        }));
    }
    let sender = Sender::found(extraction);
    let parent = Sender::keep_out(parent, [&sender]);
    config.start_under(parent, SpanKind::Consumer, || {
        let mut span = describe();
        if expect_parent && sender.lacks_context() {
            span.set(semconv::THROUGHLINE_PARENT_EXPECTED, true);
        }
        if let Some(sender) = sender.link() {
            span.link(sender.clone());
        }
        span
    })
}

/// Starts the span of a message that was created before, by somebody whose context stays in it: of
/// kind CLIENT, linked to there, since the trace goes on from there and not from here.
///
/// Where nothing is current, as in what relays an outbox, the sending is done for the message alone:
/// it is a child of its creation.
#[cold]
pub fn send_created(
    config: &Config,
    created: Context,
    describe: impl FnOnce() -> Description,
) -> BoundarySpan {
    let link = created.span().span_context().clone();
    let current = Context::current();
    let parent = if current.span().span_context().is_valid() { current } else { created };
    config.start_under(parent, SpanKind::Client, || {
        let mut span = describe();
        span.link(link);
        span
    })
}

/// Whether this context, found in a message that is about to be sent, is the current one, or the one
/// that the message brought which is handled here: a copy then, and nothing that was created.
#[must_use]
pub fn is_copied(found: &SpanContext) -> bool {
    inject::is_copied(found)
}

fn ambient() -> Option<SpanContext> {
    Context::map_current(|current| {
        let span = current.span();
        let ambient = span.span_context();
        ambient.is_valid().then(|| ambient.clone())
    })
}

/// What `messaging.system` called a system that has another name now.
fn older(system: &'static str) -> &'static str {
    match system {
        "aws.sqs" => "aws_sqs",
        same => same,
    }
}

/// Sets `messaging.system.name`: `kafka`, `aws.sqs`.
#[inline]
pub fn set_system(span: &mut Description, system: &'static str) {
    span.set(semconv::MESSAGING_SYSTEM_NAME, system);
    if stability::tells_old_messaging() {
        span.set(replaced::MESSAGING_SYSTEM, older(system));
    }
}

/// Labels what is measured of an operation with messages: its system, what the operation is called
/// there, and its destination, unless that is one of any number.
pub fn label(
    system: &'static str,
    operation: &'static str,
    Destination { name, destination }: Destination,
    labels: &mut Labels,
) {
    labels.set(semconv::MESSAGING_SYSTEM_NAME, system);
    if stability::tells_old_messaging() {
        labels.set(replaced::MESSAGING_SYSTEM, older(system));
    }
    labels.set(semconv::MESSAGING_OPERATION_NAME, operation);
    if matches!(name, Cow::Borrowed(_)) {
        labels.set(semconv::MESSAGING_DESTINATION_NAME, destination);
    }
}

/// How many links a span may have: OpenTelemetry's SDKs drop the rest, and say nothing. 128, unless
/// the variable `OTEL_SPAN_LINK_COUNT_LIMIT` says otherwise; what a provider was told in code isn't
/// known here.
#[must_use]
pub fn max_links() -> usize {
    static LIMIT: LazyLock<usize> = LazyLock::new(|| {
        let limit = std::env::var("OTEL_SPAN_LINK_COUNT_LIMIT").ok();
        // As the SDK reads it.
        let limit = limit.and_then(|limit| limit.parse::<u32>().ok()).unwrap_or(128);
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    *LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_and_destinations_are_told_apart() {
        for (operation, name) in [("send", "orders"), ("process", "orders"), ("send", "audit")] {
            for _ in 0..2 {
                let told = destination(operation, name);
                assert_eq!(told.name, format!("{operation} {name}"));
                assert_eq!(told.destination, Value::from(name.to_owned()));
                assert!(matches!(told.name, Cow::Borrowed(_)), "it is kept");
            }
        }
    }
}
