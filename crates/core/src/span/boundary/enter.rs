//! What runs in a boundary: with its context attached.

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, ContextGuard};

use super::{BoundarySpan, Recording};
use crate::span::inside;

impl BoundarySpan {
    /// Runs `f` with the context attached. A panic in it goes on, and is remembered.
    #[inline]
    pub fn enter<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let entered = self.entered();
        let result = f();
        self.exit(entered);
        result
    }

    /// Attaches the context until [`exit`](Self::exit), for where [`enter`](Self::enter) would move
    /// too much. Without it, as where a panic goes on, the span stays marked as panicked.
    // Always: three times a request.
    #[doc(hidden)]
    #[inline(always)]
    pub fn entered(&mut self) -> Entered {
        let panicked = std::mem::replace(&mut self.panicked, true);
        let (attached, inside) = match self.recording {
            Recording::Joined => (self.rejoin(), None),
            Recording::Apart => (None, None),
            Recording::Alone => {
                (Some(self.context.clone().attach()), Some(inside::enter_outbound(&self.context)))
            }
            Recording::Carried | Recording::Passed => {
                (Some(self.context.clone().attach()), Some(inside::enter_carried(&self.context)))
            }
            _ => (Some(self.context.clone().attach()), None),
        };
        Entered { panicked, _attached: attached, _inside: inside }
    }

    /// Detaches the context: nothing has panicked.
    #[doc(hidden)]
    #[inline]
    pub fn exit(&mut self, entered: Entered) {
        self.panicked = entered.panicked;
    }

    #[inline(never)]
    fn rejoin(&self) -> Option<ContextGuard> {
        (!is_current(&self.context)).then(|| self.context.clone().attach())
    }
}

/// Whether the context that is current here is of the same trace as `context`.
#[inline]
fn is_current(context: &Context) -> bool {
    Context::map_current(|current| is_same_trace(current, context))
}

#[inline]
fn is_same_trace(one: &Context, other: &Context) -> bool {
    let trace = |context: &Context| context.span().span_context().trace_id();
    one.has_active_span() == other.has_active_span() && trace(one) == trace(other)
}

/// The context of a [`BoundarySpan`], attached to this thread.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the span is marked as panicked until `exit` is called"]
pub struct Entered {
    panicked: bool,
    _attached: Option<ContextGuard>,
    _inside: Option<inside::Entered>,
}
