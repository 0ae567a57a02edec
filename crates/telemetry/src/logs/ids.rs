//! Which trace an event belongs to, and which request.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::HandledRequest;
use tracing::Event;

/// What a line tells of the context that is current.
pub(super) struct Current {
    pub(super) span: SpanContext,
    pub(super) request: Option<HandledRequest>,
}

/// The context that is current, if it holds a valid span context.
///
/// Not that of the `tracing` span: boundary spans are none, and an event may be outside all of
/// them.
pub(super) fn current(event: &Event<'_>) -> Option<Current> {
    // The API logs from inside the stack of contexts while it holds it borrowed: asking it for
    // the current one then is a panic.
    if event.metadata().target() == "opentelemetry" {
        return None;
    }
    Context::map_current(|cx| {
        let span = cx.span();
        let context = span.span_context();
        context
            .is_valid()
            .then(|| Current { span: context.clone(), request: HandledRequest::of(cx) })
    })
}
