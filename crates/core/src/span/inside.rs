//! What this thread is inside of, beside the context that is current: so that a second layer of the
//! same boundary finds that its message was seen already, whatever stands between the two.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};

use super::handle::State;

thread_local! {
    static OUTBOUND: Cell<Outbound> = const { Cell::new(Outbound::NONE) };
    static CARRIED: Cell<Carried> = const { Cell::new(Carried::NONE) };
}

/// A span that goes out, and the message that it goes out for, by where its state lies: a service in
/// this very process may handle what was sent, and send something itself.
#[derive(Clone, Copy, Debug)]
struct Outbound {
    span: SpanId,
    sent_for: usize,
}

impl Outbound {
    const NONE: Outbound = Outbound { span: SpanId::INVALID, sent_for: 0 };
}

fn handled_in(context: &Context) -> usize {
    context.get::<State>().map_or(0, |state| std::ptr::from_ref(state).addr())
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

/// The outbound span that is entered here, for the message that is handled here; invalid if there is
/// none.
#[inline]
pub(crate) fn outbound() -> SpanId {
    let Outbound { span, sent_for } = OUTBOUND.get();
    if span != SpanId::INVALID && Context::map_current(handled_in) != sent_for {
        return SpanId::INVALID;
    }
    span
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
    Outbound(Sends),
    Carried(Carries),
}

/// The span that was sent before.
#[derive(Debug)]
pub(super) struct Sends(Outbound);

/// The message that was handled before.
#[derive(Debug)]
pub(super) struct Carries(Carried);

#[inline]
pub(super) fn enter_outbound(context: &Context) -> Entered {
    let span = context.span().span_context().span_id();
    let outbound = Outbound { span, sent_for: handled_in(context) };
    Entered::Outbound(Sends(OUTBOUND.replace(outbound)))
}

#[inline]
pub(super) fn enter_carried(context: &Context) -> Entered {
    Entered::Carried(Carries(CARRIED.replace(Carried::of(context.span().span_context()))))
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        match self {
            Entered::Outbound(Sends(before)) => OUTBOUND.set(*before),
            Entered::Carried(Carries(before)) => CARRIED.set(*before),
        }
    }
}
