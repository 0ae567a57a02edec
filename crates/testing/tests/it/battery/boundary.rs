//! The way of a context through a boundary that may be wrong.

use std::sync::Mutex;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use throughline_core::{BoundarySpan, Config, Description};
use throughline_testing::battery::{Headers, Setup};

use super::carrier::{Came, Leaves};
use super::wrong::Wrong::{self, *};

/// What becomes of the text of a header.
type Change = Box<dyn Fn(&str) -> String>;

pub(super) struct Boundary {
    pub(super) setup: Setup,
    pub(super) config: Config,
    pub(super) wrong: Wrong,
    pub(super) kind: SpanKind,
    /// One slot for the context, where each message needs one.
    slot: Mutex<Context>,
}

impl Boundary {
    pub(super) fn new(setup: Setup, wrong: Wrong, kind: SpanKind) -> Self {
        let config = setup.configure(Config::new("memory", "1"));
        let config = match wrong {
            KeepsToW3c => config.with_propagator(setup.propagator),
            Trusts(told, trust) if setup.trust == told => config.trust(trust),
            ForgetsTheMark => config.expect_parent(false),
            MarksUnasked => config.expect_parent(true),
            RecordsNothing => config.with_tracer_provider(&NoopTracerProvider::new()),
            AsksTheSampler => config.ask_sampler(true),
            _ => config,
        };
        let kind = if wrong == IsOfAnotherKind { SpanKind::Internal } else { kind };
        Boundary { setup, config, wrong, kind, slot: Mutex::default() }
    }

    pub(super) fn rewritten(&self, headers: &Headers) -> Headers {
        let alter = |value: &str| match value.get(36..37) {
            Some(digit) => {
                format!("{}{}{}", &value[..36], if digit == "1" { "2" } else { "1" }, &value[37..])
            }
            None => value.to_owned(),
        };
        let (name, change): (_, Change) = match self.wrong {
            Rewrites(name, from, to) if !from.is_empty() => {
                (name, Box::new(move |value| value.replace(from, to)))
            }
            Rewrites(name, _, to) if headers.get_all(name).next().is_none() => {
                let mut headers = headers.clone();
                headers.push(name, to);
                return headers;
            }
            AltersTheParent => ("traceparent", Box::new(alter)),
            _ => return headers.clone(),
        };
        let pairs = headers.iter().filter_map(|(key, value)| {
            if key != name {
                return Some((key, value.to_vec()));
            }
            let text = String::from_utf8_lossy(value);
            let changed = change(&text);
            if *text == changed {
                return Some((key, value.to_vec()));
            }
            (!changed.is_empty()).then(|| (key, changed.into_bytes()))
        });
        pairs.collect()
    }

    pub(super) fn receive(&self, headers: &Headers) -> BoundarySpan {
        let headers = self.rewritten(headers);
        let describe = || Description::new("process", 4);
        let mut extraction = self.config.extract(&Came(&headers, self.wrong));
        if self.wrong == LinksToSampledOnly && is_unsampled(&headers) {
            extraction = self.config.extract(&Headers::new());
        }
        let parent = extraction.context();
        let came = parent.span().span_context().clone();
        let parent = match self.wrong {
            // As OpenTelemetry's `propagator.extract(..)` does, which begins with what is current.
            UsesTheAmbientParent if !came.is_valid() => Context::current(),
            UsesTheAmbientBaggage if came.is_valid() => {
                Context::current().with_remote_span_context(came)
            }
            ForgetsThatTheParentIsRemote if came.is_valid() => {
                parent.with_remote_span_context(local(&came))
            }
            KeepsTheTracestate if !came.is_valid() => parent.with_remote_span_context(kept()),
            KeepsTheBaggage => parent.with_baggage([KeyValue::new("user", "alice")]),
            _ => return self.config.receive(extraction, self.kind.clone(), describe),
        };
        let _attached = parent.attach();
        self.config.send(self.kind.clone(), describe)
    }

    /// Starts the span of a message that leaves, and puts its context into the headers.
    pub(super) async fn leave(&self, mut headers: Headers) -> (BoundarySpan, Headers) {
        let (current, stale) = (Context::current(), headers.clone());
        let came = current.span().span_context().clone();
        let parent = match self.wrong {
            UsesTheAmbientParent => Context::new(),
            ForgetsWhatIsNotRecorded if !came.is_sampled() => Context::new(),
            InventsAParent if !came.is_valid() => sampled(),
            AltersTheParent if came.is_valid() => {
                current.with_remote_span_context(SpanContext::new(
                    came.trace_id(),
                    SpanId::from(0xbad),
                    came.trace_flags(),
                    true,
                    came.trace_state().clone(),
                ))
            }
            _ => current.clone(),
        };
        let span = {
            let _attached = parent.attach();
            self.config.send(self.kind.clone(), || Description::new("send", 4))
        };
        let context = self.shown(&span, &current).await;
        if self.wrong == DropsOtherHeaders {
            headers = Headers::new();
        }
        if self.wrong == DoublesTheHeader {
            let mut fresh = Headers::new();
            self.config.inject(&context, &mut fresh);
            fresh.into_iter().for_each(|(name, value)| headers.push(name, value));
        } else {
            self.config.inject(&context, &mut Leaves(&mut headers, self.wrong));
        }
        if let KeepsTheStale(name) | ForgetsTheStale(name) = self.wrong
            && let Some(value) = stale.get_all(name).next()
        {
            let is_new = headers.get_all(name).next().is_some();
            if !is_new || self.wrong == KeepsTheStale(name) {
                headers = headers.into_iter().filter(|(key, _)| key != name).collect();
                headers.push(name, value);
            }
        }
        if self.wrong == KeepsTheStaleTrace && !came.is_valid() && stale.iter().next().is_some() {
            headers = stale.into_iter().skip(3).collect();
        }
        (span, self.rewritten(&headers))
    }

    /// The context that the handler, or the peer, gets to see.
    pub(super) async fn shown(&self, span: &BoundarySpan, outside: &Context) -> Context {
        let context = span.context();
        let ids = context.span().span_context().clone();
        match self.wrong {
            DropsTheContext => outside.clone(),
            ErasesWhatIsNotRecorded if !span.is_recording() => Context::new(),
            SendsAsSampled => context.with_remote_span_context(as_sampled(&ids)),
            KeepsOnlyTheIds => Context::new().with_remote_span_context(ids),
            SharesOneContext | MixesTheBaggage => {
                *self.slot.lock().unwrap() = context.clone();
                tokio::task::yield_now().await;
                let shared = self.slot.lock().unwrap().clone();
                let is_mixed = self.wrong == MixesTheBaggage;
                if is_mixed { shared.with_remote_span_context(ids) } else { shared }
            }
            _ => context.clone(),
        }
    }

    /// Whether a second layer starts a span for a message whose first one has one.
    pub(super) fn starts_again(&self, is_recorded: bool) -> bool {
        match self.wrong {
            StartsAgain => true,
            ForgetsWhatIsNotRecorded => !is_recorded,
            _ => false,
        }
    }
}

fn local(came: &SpanContext) -> SpanContext {
    let state = came.trace_state().clone();
    SpanContext::new(came.trace_id(), came.span_id(), came.trace_flags(), false, state)
}

/// A tracestate without a trace.
fn kept() -> SpanContext {
    let state = TraceState::from_key_value([("vendor", "a")]).unwrap();
    SpanContext::new(TraceId::INVALID, SpanId::INVALID, TraceFlags::SAMPLED, true, state)
}

fn is_unsampled(headers: &Headers) -> bool {
    headers.get_all("traceparent").any(|value| value.ends_with(b"-02"))
}

fn as_sampled(ids: &SpanContext) -> SpanContext {
    let flags = ids.trace_flags() | TraceFlags::SAMPLED;
    SpanContext::new(ids.trace_id(), ids.span_id(), flags, false, ids.trace_state().clone())
}

pub(super) fn sampled() -> Context {
    let (trace, span) = (TraceId::from(0xbad), SpanId::from(0xbad));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}
