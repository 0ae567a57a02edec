//! W3C Trace Context and W3C Baggage over any carrier, and as a [`TextMapPropagator`].

use http::HeaderName;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceState};

use super::fresh;
use super::read::{Baggages, Held, Others, Read, UnheldOf};
use crate::cache::Table;
use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::codec::{Malformed, baggage, traceparent, tracestate};
use crate::span::inside;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Which of the W3C headers are spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fields {
    pub(crate) trace: bool,
    pub(crate) baggage: bool,
}

impl Fields {
    pub(crate) const ALL: Fields = Fields { trace: true, baggage: true };
    pub(super) const TRACE: Fields = Fields { trace: true, baggage: false };
    pub(super) const BAGGAGE: Fields = Fields { trace: false, baggage: true };
}

/// The id of a message that leaves here.
#[inline]
pub(super) fn onward(span: &SpanContext) -> SpanId {
    match span.is_remote() && !span.is_sampled() {
        true => fresh::span_id(),
        false => span.span_id(),
    }
}

thread_local! {
    // Few: what was made of a header may be sixty times as large as the header.
    static BAGGAGE_SEEN: Table<Context, 8> = const { Table::new() };
}

impl Fields {
    #[inline]
    pub(crate) fn read(self, carrier: &(impl ReadCarrier + ?Sized), baggages: Baggages) -> Read {
        let (mut parent, mut parents, mut others) = (None, 0, false);
        carrier.visit_each([&TRACEPARENT, &TRACESTATE, &BAGGAGE], |place, value| {
            if place == 0 {
                parent = Some(value);
                parents += 1;
            } else {
                others = true;
            }
        });
        let parent = parent.filter(|_| self.trace).map(|value| match parents {
            1 => traceparent::parse(value),
            _ => Err(Malformed::Doubled),
        });
        Read {
            parent,
            others: if others { Some(self.read_others(carrier, baggages)) } else { None },
        }
    }

    #[cold]
    fn read_others(self, carrier: &(impl ReadCarrier + ?Sized), baggages: Baggages) -> Box<Others> {
        let (mut states, mut lists) = (Vec::new(), Vec::new());
        carrier.visit_each([&TRACESTATE, &BAGGAGE], |place, value| match place {
            0 => states.push(value),
            _ if self.baggage => lists.push(value),
            _ => {}
        });
        let baggage = match lists[..] {
            [] => None,
            // The same, most often, as the message before had: it is made once.
            [list] if baggages == Baggages::Shared => {
                let parse = || Some(Context::new().with_baggage(baggage::parse([list])?));
                Table::get(&BAGGAGE_SEEN, list, parse).map(Held::Shared)
            }
            _ => baggage::parse(lists).map(Held::Own),
        };
        Box::new(Others {
            state: tracestate::parse(states).unwrap_or_default(),
            baggage,
            ..Others::default()
        })
    }

    /// Writes what `context` holds; whether it held a trace.
    // Always: the compiler only does it unasked while there is one caller.
    #[inline(always)]
    pub(crate) fn write(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
    ) -> bool {
        self.write_as(context, carrier, SpanContext::span_id)
    }

    /// The same for a message that leaves here. Where the sender's trace isn't sampled no span was
    /// made for the message; it is one all the same, and the sender's id stays his own.
    #[inline]
    pub(crate) fn write_onward(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
    ) -> bool {
        self.write_as(context, carrier, onward)
    }

    #[inline]
    pub(super) fn write_as(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
        id: impl FnOnce(&SpanContext) -> SpanId,
    ) -> bool {
        if self.baggage {
            let held = context.baggage();
            match if held.is_empty() { None } else { baggage::print(held) } {
                Some(header) => carrier.replace(&BAGGAGE, &header),
                None => carrier.remove(&BAGGAGE),
            }
        }
        let span = context.span();
        let span_context = span.span_context();
        if !self.trace || !span_context.is_valid() {
            return false;
        }
        let unheld = context.get::<UnheldOf>();
        // Another trace may have begun in this context.
        let unheld = unheld.filter(|unheld| unheld.trace == span_context.trace_id());
        let state = if *span_context.trace_state() == TraceState::NONE && unheld.is_none() {
            None
        } else {
            tracestate::print(span_context.trace_state(), unheld.map(|unheld| &*unheld.list))
        };
        match state {
            Some(header) => carrier.replace(&TRACESTATE, &header),
            None => carrier.remove(&TRACESTATE),
        }
        let random = match span_context.is_sampled() {
            true => 0,
            false => inside::random_flag_of(span_context.trace_id()),
        };
        let printed = traceparent::print_as(span_context, id(span_context), random);
        carrier.replace_bytes(&TRACEPARENT, printed.as_bytes());
        true
    }
}

/// W3C Trace Context level 2 and W3C Baggage as a [`TextMapPropagator`], for code that uses
/// OpenTelemetry's global propagator and never heard of Throughline.
///
/// Stricter than the SDK's: a doubled or malformed `traceparent` restarts the trace, several
/// `tracestate` headers are combined, the random flag survives, nothing empty is injected and a
/// baggage member can't smuggle another one in.
///
/// ```
/// use opentelemetry::global;
/// global::set_text_map_propagator(throughline_core::W3cPropagator::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct W3cPropagator;

impl W3cPropagator {
    /// The propagator.
    #[must_use]
    pub fn new() -> Self {
        W3cPropagator
    }
}

pub(super) struct FromExtractor<'a>(pub(super) &'a dyn Extractor);

impl ReadCarrier for FromExtractor<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        let values = self.0.get_all(name.as_str()).unwrap_or_default();
        values.into_iter().map(str::as_bytes).for_each(each);
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys()
    }
}

pub(super) struct ToInjector<'a>(pub(super) &'a mut dyn Injector);

impl WriteCarrier for ToInjector<'_> {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.0.set(name.as_str(), value.to_owned());
    }

    // An `Injector` cannot take anything away.
    fn remove(&mut self, _: &HeaderName) {}
}

impl TextMapPropagator for W3cPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        Fields::ALL.write(context, &mut ToInjector(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let read = Fields::ALL.read(&FromExtractor(extractor), Baggages::Alone);
        read.into_context_on(context)
    }

    fn fields(&self) -> FieldIter<'_> {
        static NAMES: std::sync::LazyLock<[String; 3]> =
            std::sync::LazyLock::new(|| ["traceparent", "tracestate", "baggage"].map(String::from));
        FieldIter::new(&*NAMES)
    }
}
