//! What this thread is inside of, beside the context that is current: so that a second layer of the
//! same boundary finds that its message was seen already, whatever stands between the two.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};

thread_local! {
    static OUTBOUND: Cell<SpanId> = const { Cell::new(SpanId::INVALID) };
    static CARRIED: Cell<Carried> = const { Cell::new(Carried::NONE) };
}

/// The ids of an unsampled message, in two words, since they are put here for each poll: of the
/// trace's the lower half, whose lowest bit gives way to the random flag.
#[derive(Clone, Copy, Debug)]
struct Carried {
    span: u64,
    trace: u64,
}

impl Carried {
    const NONE: Carried = Carried { span: 0, trace: 0 };

    #[inline]
    fn of(message: &SpanContext) -> Self {
        let random = u64::from(message.trace_flags().to_u8() >> 1 & 1);
        let trace = half(message.trace_id()) | random;
        Carried { span: u64::from_be_bytes(message.span_id().to_bytes()), trace }
    }
}

#[inline]
fn half(trace: TraceId) -> u64 {
    u128::from_be_bytes(trace.to_bytes()) as u64 & !1
}

/// The outbound span that is entered here; invalid if there is none.
#[inline]
pub(crate) fn outbound() -> SpanId {
    OUTBOUND.get()
}

/// Whether it is this unsampled message that is handled here.
#[inline]
pub(super) fn carries(message: &SpanContext) -> bool {
    let (carried, message) = (CARRIED.get(), Carried::of(message));
    carried.span == message.span && carried.trace | 1 == message.trace | 1
}

/// The random flag of a trace whose unsampled message is handled here: OpenTelemetry's SDK loses it
/// with the first span that it doesn't record.
#[inline]
pub(crate) fn random_flag_of(trace: TraceId) -> u8 {
    let carried = CARRIED.get();
    if carried.trace & !1 == half(trace) { (carried.trace as u8 & 1) << 1 } else { 0 }
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
    Entered::Carried(Carries(CARRIED.replace(Carried::of(context.span().span_context()))))
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
