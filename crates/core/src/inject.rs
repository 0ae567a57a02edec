//! The last step of the law: the context goes on with the message.

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt};

use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::outcome::count_injection;
use crate::propagation::{Propagation, Read, Reader, Speaks, Writer};
use crate::span::outbound;

#[inline]
pub(crate) fn inject(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) {
    let had_trace = match propagation.speaks() {
        Speaks::W3c(fields) => fields.write(context, carrier),
        Speaks::Formats => propagation.list().write(context, carrier),
        Speaks::Foreign => foreign(propagation, context, carrier),
    };
    count_injection(had_trace);
}

#[inline]
pub(crate) fn is_sent(propagation: &Propagation, carrier: &(impl ReadCarrier + ?Sized)) -> bool {
    let current = outbound::current();
    if current == SpanId::INVALID {
        return false;
    }
    let is_current = |read: Read| matches!(read.parent, Some(Ok(held)) if held.span_id == current);
    match propagation.speaks() {
        Speaks::W3c(fields) => is_current(fields.read(carrier)),
        Speaks::Formats => is_current(propagation.list().read(carrier)),
        Speaks::Foreign => propagation.with_foreign(|propagator| {
            let context = propagator.extract_with_context(&Context::new(), &Reader(carrier));
            context.span().span_context().span_id() == current
        }),
    }
}

#[cold]
fn foreign(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) -> bool {
    let had_trace = context.span().span_context().is_valid();
    propagation.with_foreign(|propagator| {
        if had_trace {
            // A carrier that is used again must not carry two contexts.
            for name in propagator.fields() {
                if let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) {
                    carrier.remove(&name);
                }
            }
        }
        propagator.inject_context(context, &mut Writer(carrier));
    });
    had_trace
}
