//! The last step of the law: the context goes on with the message.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use crate::carrier::WriteCarrier;
use crate::outcome::count_injection;
use crate::propagation::{Propagation, Speaks, Writer};

#[inline]
pub(crate) fn inject(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) {
    let had_trace = match propagation.speaks() {
        Speaks::W3c(fields) => fields.write(context, carrier),
        Speaks::Foreign => foreign(propagation, context, carrier),
    };
    count_injection(had_trace);
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
