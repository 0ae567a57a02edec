//! What this thread is inside of, beside the context that is current: so that a second layer of the
//! same boundary finds that its message was seen already, whatever stands between the two.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

thread_local! {
    static OUTBOUND: Cell<SpanId> = const { Cell::new(SpanId::INVALID) };
    static CARRIED: Cell<Carried> = const { Cell::new(Carried::NONE) };
}

/// The ids of an unsampled message, as it brought them.
#[derive(Clone, Copy, Debug)]
struct Carried {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl Carried {
    const NONE: Carried =
        Carried { trace: TraceId::INVALID, span: SpanId::INVALID, flags: TraceFlags::NOT_SAMPLED };
}

/// The outbound span that is entered here; invalid if there is none.
#[inline]
pub(crate) fn outbound() -> SpanId {
    OUTBOUND.get()
}

/// Whether it is this unsampled message that is handled here.
#[inline]
pub(super) fn carries(message: &SpanContext) -> bool {
    let carried = CARRIED.get();
    carried.span == message.span_id() && carried.trace == message.trace_id()
}

/// The random flag of a trace whose unsampled message is handled here: OpenTelemetry's SDK loses it
/// with the first span that it doesn't record.
#[inline]
pub(crate) fn random_flag_of(trace: TraceId) -> u8 {
    let carried = CARRIED.get();
    if carried.trace == trace { carried.flags.to_u8() & 0b10 } else { 0 }
}

/// Puts back what was there before.
#[derive(Debug)]
pub(super) enum Entered {
    Outbound(SpanId),
    Carried(Carries),
}

/// The message that was handled before.
#[derive(Debug)]
pub(super) struct Carries(Carried);

#[inline]
pub(super) fn enter_outbound(context: &Context) -> Entered {
    Entered::Outbound(OUTBOUND.replace(context.span().span_context().span_id()))
}

#[inline]
pub(super) fn enter_carried(context: &Context) -> Entered {
    let span = context.span();
    let message = span.span_context();
    let (trace, span, flags) = (message.trace_id(), message.span_id(), message.trace_flags());
    Entered::Carried(Carries(CARRIED.replace(Carried { trace, span, flags })))
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        match self {
            Entered::Outbound(before) => OUTBOUND.set(*before),
            Entered::Carried(Carries(before)) => CARRIED.set(*before),
        }
    }
}
