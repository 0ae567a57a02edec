//! What stood in a carrier, and the context it becomes.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::beyond::{Beyond, denied};
use crate::codec::traceparent::TraceParent;
use crate::codec::{Malformed, tracestate};

/// What stood in a carrier.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) parent: Option<Result<TraceParent, Malformed>>,
    pub(super) others: Option<Box<Others>>,
}

/// What only some messages bring.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) state: tracestate::Parsed,
    pub(super) baggage: Option<Held>,
    pub(super) beyond: Option<Beyond>,
    /// No trace came, but the decision not to record one.
    pub(super) denied: bool,
}

/// What becomes of baggage that is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Baggages {
    /// It goes into an empty context: what was made of the same header before will do.
    Shared,
    /// It goes on top of what a context holds, which that can't.
    Alone,
}

/// Baggage, as it was read.
#[derive(Debug)]
pub(super) enum Held {
    Own(Baggage),
    /// As it came before: all that is in this context.
    Shared(Context),
}

/// The members of a `tracestate` that OpenTelemetry can't hold, in the context of their trace.
#[derive(Debug)]
pub(super) struct UnheldOf {
    pub(super) trace: TraceId,
    pub(super) list: Arc<tracestate::Unheld>,
}

impl Read {
    pub(super) fn of_parent(parent: TraceParent, beyond: Option<Beyond>) -> Self {
        let others = |beyond| Box::new(Others { beyond: Some(beyond), ..Others::default() });
        Read { parent: Some(Ok(parent)), others: beyond.map(others) }
    }

    /// Adds what another format tells of the same span.
    pub(super) fn complete(&mut self, other: Read) {
        let (Some(Ok(parent)), Some(Ok(same))) = (&mut self.parent, other.parent) else { return };
        if (parent.trace_id, parent.span_id) != (same.trace_id, same.span_id) {
            return;
        }
        // Only W3C knows the random flag.
        let random = same.flags.to_u8() & 0b10;
        parent.flags = TraceFlags::new(parent.flags.to_u8() | random);
        let Some(others) = other.others else { return };
        let Others { state, beyond, .. } = *others;
        let held = self.others.get_or_insert_default();
        if held.state == tracestate::Parsed::default() {
            held.state = state;
        }
        match (&mut held.beyond, beyond) {
            (_, None) => {}
            (Some(held), Some(beyond)) => held.complete(beyond, parent.flags),
            (held @ None, Some(beyond)) if beyond.agrees_with(parent.flags) => *held = Some(beyond),
            (held @ None, Some(beyond)) => *held = beyond.without_sampling(),
        }
    }

    pub(super) fn deny(&mut self) {
        self.others.get_or_insert_default().denied = true;
    }

    /// Takes the baggage of `other`.
    pub(super) fn join(&mut self, other: Read) {
        if let Some(baggage) = other.others.and_then(|others| others.baggage) {
            self.others.get_or_insert_default().baggage = Some(baggage);
        }
    }

    /// The context that continues what was read.
    #[inline]
    pub(crate) fn into_context(self) -> Context {
        let Some(mut others) = self.others else { return continued(self.parent, Context::new()) };
        let context = match others.baggage.take() {
            Some(Held::Shared(context)) => context,
            Some(Held::Own(baggage)) => Context::new().with_baggage(baggage),
            None => Context::new(),
        };
        others.into_context(self.parent, context)
    }

    /// The span that was read.
    pub(crate) fn into_span_context(self) -> Option<SpanContext> {
        let parent = self.parent?.ok()?;
        let state = self.others.map_or(TraceState::NONE, |others| others.state.held);
        Some(parent.into_span_context(state))
    }

    /// The same on top of `base`, for what was read [`Alone`](Baggages::Alone).
    pub(super) fn into_context_on(self, base: &Context) -> Context {
        let read_trace = matches!(self.parent, Some(Ok(_)));
        if read_trace && (base.get::<UnheldOf>().is_some() || base.get::<Beyond>().is_some()) {
            // What an earlier message of that trace said isn't said by this one.
            let none = UnheldOf { trace: TraceId::INVALID, list: Arc::default() };
            let base = base.with_value(none).with_value(Beyond::nothing());
            return self.into_fresh_context_on(&base);
        }
        self.into_fresh_context_on(base)
    }

    fn into_fresh_context_on(self, base: &Context) -> Context {
        let Some(mut others) = self.others else { return continued(self.parent, base.clone()) };
        let context = match others.baggage.take() {
            Some(Held::Own(baggage)) => base.with_baggage(baggage),
            Some(Held::Shared(_)) | None => base.clone(),
        };
        others.into_context(self.parent, context)
    }
}

#[inline]
fn continued(parent: Option<Result<TraceParent, Malformed>>, context: Context) -> Context {
    match parent {
        Some(Ok(parent)) => {
            context.with_remote_span_context(parent.into_span_context(TraceState::NONE))
        }
        Some(Err(_)) | None => context,
    }
}

impl Others {
    #[cold]
    fn into_context(
        self,
        parent: Option<Result<TraceParent, Malformed>>,
        mut context: Context,
    ) -> Context {
        // The list belongs to the trace: it goes where that restarts.
        if let Some(Ok(parent)) = parent {
            context = context.with_remote_span_context(parent.into_span_context(self.state.held));
            if let Some(list) = self.state.unheld {
                context = context.with_value(UnheldOf { trace: parent.trace_id, list });
            }
            if let Some(beyond) = self.beyond {
                context = context.with_value(beyond);
            }
        } else if self.denied && !context.span().span_context().is_valid() {
            context = context.with_remote_span_context(denied());
        }
        context
    }
}
