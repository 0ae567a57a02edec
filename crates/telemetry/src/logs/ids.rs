//! Which trace an event belongs to.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::Event;

/// The span context that is current, if there is a valid one.
///
/// Not that of the `tracing` span: boundary spans are none, and an event may be outside all of
/// them.
pub(super) fn current(event: &Event<'_>) -> Option<SpanContext> {
    // The API logs from inside the stack of contexts while it holds it borrowed: asking it for
    // the current one then is a panic.
    if event.metadata().target() == "opentelemetry" {
        return None;
    }
    Context::map_current(|cx| {
        let span = cx.span();
        let context = span.span_context();
        context.is_valid().then(|| context.clone())
    })
}
