//! Which trace an event belongs to, which request, and what baggage of theirs is told.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde_json::{Map, Value};
use throughline_core::HandledRequest;
use throughline_core::baggage::picked;
use tracing::Event;

/// What a line tells of the context that is current.
#[derive(Default)]
pub(super) struct Current {
    /// A valid one.
    pub(super) span: Option<SpanContext>,
    pub(super) request: Option<HandledRequest>,
    pub(super) baggage: Map<String, Value>,
}

/// The context that is current, and its baggage of these keys.
///
/// Not that of the `tracing` span: boundary spans are none, and an event may be outside all of
/// them.
pub(super) fn current(event: &Event<'_>, baggage_keys: &[String]) -> Current {
    // The API logs from inside the stack of contexts while it holds it borrowed: asking it for
    // the current one then is a panic.
    if event.metadata().target() == "opentelemetry" {
        return Current::default();
    }
    Context::map_current(|cx| {
        let span = cx.span();
        let span = Some(span.span_context()).filter(|span| span.is_valid()).cloned();
        let baggage = picked(cx, baggage_keys)
            .map(|member| (member.key.to_string(), member.value.to_string().into()));
        Current { request: HandledRequest::of(cx), baggage: baggage.collect(), span }
    })
}
