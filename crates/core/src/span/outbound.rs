//! Which outbound span this thread is inside of, so that a second layer of the same client finds
//! that its message has been sent already.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt};

thread_local! {
    static CURRENT: Cell<SpanId> = const { Cell::new(SpanId::INVALID) };
}

/// The outbound span that is entered here; invalid if there is none.
#[inline]
pub(crate) fn current() -> SpanId {
    CURRENT.get()
}

/// Puts back what was there before.
#[derive(Debug)]
pub(super) struct Entered(SpanId);

#[inline]
pub(super) fn enter(context: &Context) -> Entered {
    Entered(CURRENT.replace(context.span().span_context().span_id()))
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
