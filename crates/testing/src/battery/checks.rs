//! What the cases of both directions look at.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use throughline_core::codec::traceparent;
use throughline_core::semconv::{CANCELLED, ERROR_TYPE, PANIC};
use throughline_core::{Config, W3cPropagator};
use throughline_lineage::{Kind, Span, Status};

use super::{Headers, Outcome};
use crate::Recorder;
use crate::convert::ids;
use crate::wait::outlines;

/// The caller in most cases, sampled and random.
pub(super) const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// The same, unsampled.
pub(super) const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02";
pub(super) const TRACESTATE: &str = "vendor=a,ot=th:8";
pub(super) const BAGGAGE: &str = "user=alice";

/// A caller whose headers are these.
pub(super) fn caller(traceparent: &str) -> Headers {
    [("traceparent", traceparent), ("tracestate", TRACESTATE), ("baggage", BAGGAGE)].into()
}

/// The context of [`SAMPLED`] and [`UNSAMPLED`].
pub(super) fn remote(traceparent: &str) -> SpanContext {
    let state = TraceState::from_key_value([("vendor", "a"), ("ot", "th:8")]).unwrap_or_default();
    match traceparent::parse(traceparent.as_bytes()) {
        Ok(parent) => parent.into_span_context(state),
        Err(_) => SpanContext::NONE,
    }
}

/// Somebody else's context, left behind on a thread.
pub(super) fn stale() -> Context {
    let (trace, span) = (TraceId::from(0x57a1e), SpanId::from(0x57a1e));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span).with_baggage([KeyValue::new("stale", "1")])
}

/// What was current somewhere.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) span: SpanContext,
    pub(super) baggage: Vec<(String, String)>,
    /// What a message that leaves from there would carry.
    pub(super) onward: Headers,
}

impl Seen {
    fn now() -> Self {
        let context = Context::current();
        let pairs = context.baggage().iter();
        let mut baggage: Vec<_> =
            pairs.map(|(key, (value, _))| (key.to_string(), value.to_string())).collect();
        baggage.sort_unstable();
        let mut onward = Headers::new();
        let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        config.with_propagator(W3cPropagator::new()).inject(&context, &mut onward);
        Seen { span: context.span().span_context().clone(), baggage, onward }
    }

    pub(super) fn baggage(&self) -> String {
        let pairs: Vec<_> =
            self.baggage.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }
}

/// What a handler or a peer saw, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Eyes(Arc<Mutex<Vec<(&'static str, Seen)>>>);

impl Eyes {
    pub(super) fn look(&self, moment: &'static str) {
        let seen = Seen::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((moment, seen));
    }

    /// Looks once more when it is dropped.
    pub(super) fn on_drop(&self, moment: &'static str) -> impl Send + 'static {
        struct Last(Eyes, &'static str);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.look(self.1);
            }
        }
        Last(self.clone(), moment)
    }

    pub(super) fn all(&self) -> Vec<(&'static str, Seen)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn at(&self, moment: &str) -> Result<Seen, String> {
        let all = self.all().into_iter();
        let mut seen = all.filter(|(name, _)| *name == moment).map(|(_, seen)| seen);
        seen.next().ok_or_else(|| format!("nothing was seen {moment}"))
    }
}

/// The one span that the boundary made, after it has ended exactly once.
pub(super) async fn the_span(
    recorder: &Recorder,
    kind: Kind,
    patience: Duration,
) -> Result<Span, String> {
    let done = |spans: &[Span]| !spans.is_empty() && recorder.open_spans().is_empty();
    // What is wrong when the time is up is told below, more exactly.
    drop(recorder.wait_until(patience, done).await);
    let mut spans = recorder.spans();
    let open = recorder.open_spans();
    ensure!(!(spans.is_empty() && open.is_empty()), "no span was started");
    ensure!(open.is_empty(), "the span `{}` never ended", open[0].name);
    ensure!(
        spans.len() == 1,
        "one message made {} spans, where one was expected:\n{}",
        spans.len(),
        outlines(spans)
    );
    if let Some((name, times)) = recorder.ended_twice().first() {
        return Err(format!("the span `{name}` was ended {times} times"));
    }
    let span = spans.remove(0);
    let mut keys: Vec<_> = span.attributes.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the span has the attribute {} more than once", twice[0]));
    }
    ensure!(span.kind == kind, "the span is of kind {}, not {kind}", span.kind);
    Ok(span)
}

/// Whether a span hangs under this parent.
pub(super) fn is_child(span: &Span, parent: &SpanContext, whose: &str) -> Outcome {
    let Some((trace, parent)) = ids(parent) else {
        return Err("the battery has no parent".to_owned());
    };
    ensure!(
        span.trace_id == trace,
        "the trace is lost: the span is in trace {}, {whose} in {trace}",
        span.trace_id
    );
    ensure!(
        span.parent == Some(parent),
        "the parent of the span is {}, not {whose}, {parent}",
        told(span.parent)
    );
    Ok(())
}

pub(super) fn told<T: ToString>(id: Option<T>) -> String {
    id.map_or_else(|| "missing".to_owned(), |id| id.to_string())
}

/// Whether this span is the one that was seen.
pub(super) fn is_current(seen: &Seen, span: &Span, moment: &str) -> Outcome {
    let found = ids(&seen.span);
    ensure!(found.is_some(), "{moment} there is no current context: it was dropped on the way");
    ensure!(
        found == Some((span.trace_id, span.span_id)),
        "{moment} the span that is current is {} of trace {}, not the boundary's, {} of trace {}",
        seen.span.span_id(),
        seen.span.trace_id(),
        span.span_id,
        span.trace_id
    );
    Ok(())
}

/// Whether this context is the one that came, unchanged.
pub(super) fn is_same(seen: &SpanContext, came: &SpanContext, what: &str) -> Outcome {
    ensure!(seen.is_valid(), "{what} is gone: there is none");
    let print = |context: &SpanContext| traceparent::print(context).as_str().to_owned();
    ensure!(
        print(seen) == print(came),
        "{what} is {}, and should be {}, unchanged",
        print(seen),
        print(came)
    );
    Ok(())
}

/// Whether a message leaves in this unsampled trace, by an id of its own: nobody records it, but it
/// isn't the caller's span that sends it.
pub(super) fn is_onward(left: &str, came: &str) -> Outcome {
    let apart = |value: &str| {
        let mut parts = value.split('-').map(str::to_owned);
        Some((parts.nth(1)?, parts.next()?, parts.next()?))
    };
    let (Some((trace, span, flags)), Some((caller, sender, decision))) = (apart(left), apart(came))
    else {
        return Err(format!("`{left}` is no traceparent"));
    };
    ensure!(
        trace == caller && flags == decision,
        "an unsampled trace came as `{came}`, and would go on as `{left}`"
    );
    ensure!(span != sender, "a message of an unsampled trace leaves as the caller's own span");
    Ok(())
}

/// The only value of a header that left.
pub(super) fn only(headers: &Headers, name: &str) -> Result<String, String> {
    let values: Vec<_> =
        headers.get_all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    match <[String; 1]>::try_from(values) {
        Ok([value]) => Ok(value),
        Err(values) if values.is_empty() => Err(format!("the message left without {name}")),
        Err(values) => {
            Err(format!("the message left with {name} {} times: {values:?}", values.len()))
        }
    }
}

/// Says no to the first span and yes to all others.
#[derive(Clone, Debug, Default)]
pub(super) struct NoThenYes(Arc<AtomicBool>);

impl ShouldSample for NoThenYes {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = match self.0.swap(true, Relaxed) {
            false => Sampler::AlwaysOff,
            true => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// How a message was meant to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Success,
    Failure,
    Panic,
    Cancel,
}

pub(super) fn ended_as(span: &Span, ending: Ending) -> Outcome {
    let is_error = matches!(span.status, Status::Error(_));
    let error_type = span.attributes.get_str(ERROR_TYPE);
    let said = error_type.unwrap_or("missing");
    match ending {
        Ending::Success => {
            ensure!(!is_error, "the status is Error though the message succeeded");
            ensure!(error_type.is_none(), "error.type is `{said}` though the message succeeded");
        }
        Ending::Failure => {
            ensure!(is_error, "the failure is lost: the status is {:?}, not Error", span.status);
            ensure!(error_type.is_some_and(|name| !name.is_empty()), "error.type is missing");
        }
        Ending::Panic => {
            ensure!(is_error, "the panic is lost: the status is {:?}, not Error", span.status);
            ensure!(error_type == Some(PANIC), "error.type is {said}, not `{PANIC}`");
        }
        Ending::Cancel => {
            ensure!(
                error_type == Some(CANCELLED),
                "the cancellation is lost: error.type is {said}, not `{CANCELLED}`"
            );
            ensure!(!is_error, "the status is Error, though giving up is no error");
        }
    }
    Ok(())
}

pub(super) fn needs_threads() -> Outcome {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    ensure!(
        flavor != tokio::runtime::RuntimeFlavor::CurrentThread,
        "one thread proves little: run the battery in #[tokio::test(flavor = \"multi_thread\")]"
    );
    Ok(())
}
