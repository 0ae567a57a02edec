//! The last step of the law: the context goes on with the message.

use http::HeaderName;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt};

use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::extract::KeptOut;
use crate::outcome::{count_injection, count_no_room};
use crate::propagation::{
    Baggages, Format, Propagation, Read, Reader, Speaks, W3cPropagator, Writer, clear_b3,
};
use crate::span::{State, inside};
use crate::trust::Propagate;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

#[inline]
pub(crate) fn inject(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) {
    count_injection(write(propagation, context, carrier));
}

/// Whether there was a trace to inject.
#[inline]
fn write(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) -> bool {
    let had_trace = match propagation.speaks() {
        Speaks::W3c(fields) => fields.write_onward(context, carrier),
        Speaks::Formats => propagation.list().write_onward(context, carrier),
        Speaks::Foreign => foreign(propagation, context, carrier),
    };
    if !had_trace {
        keep_out(propagation, context, carrier);
    }
    had_trace
}

/// Nothing takes the place of what a stranger may have left in the carrier, by way of a handler that
/// copies: nobody records here. It goes all the same.
#[cold]
fn keep_out(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
) {
    if context.get::<KeptOut>().is_none() {
        return;
    }
    let has_own = !context.baggage().is_empty();
    let fields = propagation.fields();
    let strangers = fields.iter().filter(|name| !(has_own && **name == BAGGAGE.as_str()));
    clear(strangers.map(String::as_str), carrier);
}

/// Injects what there is room for, as `fit` sees it. Whether no trace was left behind.
pub(crate) fn inject_fitting<C: WriteCarrier>(
    propagation: &Propagation,
    context: &Context,
    mut carrier: C,
    fit: impl FnOnce(C) -> bool,
) -> bool {
    let had_trace = write(propagation, context, &mut carrier);
    let fits = fit(carrier);
    match fits {
        true => count_injection(had_trace),
        false => count_no_room(),
    }
    fits
}

/// Injects no more than is allowed.
pub(crate) fn inject_as(
    propagation: &Propagation,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
    propagate: Propagate,
) {
    match propagate {
        Propagate::All => inject(propagation, context, carrier),
        Propagate::TraceOnly => {
            // Whoever has put it there, an outer layer for one.
            carrier.remove(&BAGGAGE);
            inject(propagation, &context.with_cleared_baggage(), carrier);
        }
        Propagate::Nothing => {
            // Elsewhere this is done where injections are counted.
            crate::metrics::look();
            carrier.remove(&BAGGAGE);
            match propagation.speaks() {
                Speaks::W3c(_) => clear(W3cPropagator::new().fields(), carrier),
                Speaks::Formats => {
                    let formats = propagation.list().iter();
                    clear(formats.flat_map(Format::fields).copied(), carrier);
                    if propagation.list().speaks_b3() {
                        clear_b3(carrier);
                    }
                }
                Speaks::Foreign => {
                    propagation.with_foreign(|propagator| clear(propagator.fields(), carrier));
                }
            }
        }
    }
}

fn clear<'a>(fields: impl Iterator<Item = &'a str>, carrier: &mut (impl WriteCarrier + ?Sized)) {
    for name in fields {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            carrier.remove(&name);
        }
    }
}

#[inline]
pub(crate) fn is_sent(propagation: &Propagation, carrier: &(impl ReadCarrier + ?Sized)) -> bool {
    let current = inside::outbound();
    if current == SpanId::INVALID {
        return false;
    }
    let is_current = |read: Read| matches!(read.parent, Some(Ok(held)) if held.span_id == current);
    match propagation.speaks() {
        Speaks::W3c(fields) => is_current(fields.read(carrier, Baggages::Shared)),
        Speaks::Formats => is_current(propagation.list().read(carrier, Baggages::Shared)),
        Speaks::Foreign => propagation.with_foreign(|propagator| {
            let context = propagator.extract_with_context(&Context::new(), &Reader(carrier));
            context.span().span_context().span_id() == current
        }),
    }
}

/// What was put into a message on purpose, before it is sent.
#[cold]
pub(crate) fn creation_context(
    propagation: &Propagation,
    carrier: &(impl ReadCarrier + ?Sized),
) -> Option<Context> {
    let created = propagation.read(carrier);
    let is_creation_context = {
        let span = created.span();
        let found = span.span_context();
        found.is_valid() && !is_copied(found)
    };
    is_creation_context.then_some(created)
}

/// Whether this is what is current here, or what the message brought that is handled here: whoever
/// copies what a message has with it has created nothing.
pub(crate) fn is_copied(found: &SpanContext) -> bool {
    Context::map_current(|context| {
        let state = context.get::<State>();
        let (span, ids) = (context.span(), (found.trace_id(), found.span_id()));
        let current = span.span_context();
        ids == (current.trace_id(), current.span_id())
            || state.is_some_and(|state| state.continues(found))
            || context.get::<KeptOut>().is_some_and(|kept_out| kept_out.holds(found))
    })
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
            clear(propagator.fields(), carrier);
        }
        propagator.inject_context(context, &mut Writer(carrier));
    });
    had_trace
}
