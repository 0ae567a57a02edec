//! The battery is tested by boundaries that are wrong on purpose: each has to fail in its own
//! words, and the right one in none.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer, TracerProvider};
use throughline_core::{BoundarySpan, Config, Description, End, InContext, W3cPropagator};
use throughline_testing::battery::{
    self, Failed, Handler, Headers, Inbound, Outbound, Peer, Report, Setup,
};

/// What is wrong with a boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    DropsTheContext,
    EndsTwice,
    DoublesTheHeader,
    UsesTheAmbientParent,
    LosesTheCancel,
    LeavesTheSpanOpen,
    SwallowsThePanic,
    SharesOneContext,
    TrustsEverybody,
    EndsEarly,
}
use Wrong::*;

/// A protocol that is nothing but headers.
struct Memory {
    wrong: Wrong,
    /// Whether a message was done, and all should have ended.
    done: AtomicBool,
}

impl Memory {
    fn new(wrong: Wrong) -> Self {
        Memory { wrong, done: AtomicBool::new(false) }
    }
}

struct Boundary {
    setup: Setup,
    config: Config,
    wrong: Wrong,
}

impl Boundary {
    fn new(setup: Setup, wrong: Wrong) -> Self {
        let config = setup.configure(Config::new("memory", "1"));
        let config = if wrong == TrustsEverybody {
            config.trust(throughline_core::Trust::Continue)
        } else {
            config
        };
        Boundary { setup, config, wrong }
    }

    fn start(&self, headers: &Headers, kind: SpanKind) -> BoundarySpan {
        let describe = || Description::new("process", 2);
        if self.wrong != UsesTheAmbientParent {
            return self.config.receive(self.config.extract(headers), kind, describe);
        }
        // As OpenTelemetry's `propagator.extract(..)` does, which begins with what is current.
        let extracted = self.config.extract(headers);
        let is_valid = extracted.context().span().span_context().is_valid();
        let parent = if is_valid { extracted.context().clone() } else { Context::current() };
        let _attached = parent.attach();
        self.config.send(kind, describe)
    }

    /// A span of the API alone, which its last reference ends in silence.
    fn bare_span(&self, kind: SpanKind, parent: &Context) -> Context {
        let tracer = self.setup.provider.tracer("bare");
        let builder = tracer.span_builder("bare").with_kind(kind);
        parent.with_span(tracer.build_with_context(builder, parent))
    }

    async fn bare(&self, headers: &Headers, handler: &Handler) {
        let parent = self.config.extract(headers).context().clone();
        let context = self.bare_span(SpanKind::Consumer, &parent);
        let result = InContext::new(handler.run(), context.clone()).await;
        if self.wrong == LeavesTheSpanOpen {
            return std::mem::forget(context);
        }
        if result.is_err() {
            context.span().set_status(opentelemetry::trace::Status::error("failed"));
        }
        context.span().end();
    }

    fn finish(&self, mut span: BoundarySpan, result: &Result<(), Failed>) {
        let context = span.context().clone();
        span.finish(if result.is_ok() { End::Completed } else { End::failed("failed") });
        if self.wrong == EndsTwice {
            context.span().end();
        }
    }
}

impl Inbound for Memory {
    type Boundary = Boundary;
    const KIND: SpanKind = SpanKind::Consumer;
    const LAYERED: bool = false;

    fn patience(&self) -> Duration {
        // Waiting would not end this one's span, and makes the test slow.
        let in_vain = self.wrong == LeavesTheSpanOpen && self.done.load(Relaxed);
        if in_vain { Duration::ZERO } else { Duration::from_secs(10) }
    }

    async fn boundary(&self, setup: Setup) -> Boundary {
        self.done.store(false, Relaxed);
        Boundary::new(setup, self.wrong)
    }

    async fn deliver(&self, boundary: &Boundary, headers: Headers, handler: Handler) {
        if matches!(self.wrong, LosesTheCancel | LeavesTheSpanOpen) {
            boundary.bare(&headers, &handler).await;
            self.done.store(true, Relaxed);
            return;
        }
        let mut span = boundary.start(&headers, SpanKind::Consumer);
        match self.wrong {
            DropsTheContext => {
                let result = handler.run().await;
                boundary.finish(span, &result);
            }
            SwallowsThePanic => {
                let context = span.context().clone();
                let running = AssertUnwindSafe(InContext::new(handler.run(), context));
                let result = running.catch_unwind().await.unwrap_or(Ok(()));
                boundary.finish(span, &result);
            }
            SharesOneContext => {
                // One slot for the context, where each message needs one.
                static SLOT: std::sync::Mutex<Option<Context>> = std::sync::Mutex::new(None);
                *SLOT.lock().unwrap() = Some(span.context().clone());
                tokio::task::yield_now().await;
                let context = SLOT.lock().unwrap().clone().unwrap();
                let result = InContext::new(handler.run(), context).await;
                boundary.finish(span, &result);
            }
            EndsEarly => {
                let context = span.context().clone();
                span.finish(End::Completed);
                drop(InContext::new(handler.run(), context).await);
            }
            _ => {
                let (result, span) = span.process(handler.run()).await;
                boundary.finish(span, &result);
            }
        }
    }
}

impl Outbound for Memory {
    type Boundary = Boundary;
    const KIND: SpanKind = SpanKind::Producer;
    const LAYERED: bool = false;

    async fn boundary(&self, setup: Setup) -> Boundary {
        Boundary::new(setup, self.wrong)
    }

    async fn send(&self, boundary: &Boundary, mut headers: Headers, peer: Peer) {
        let config = &boundary.config;
        if self.wrong == LosesTheCancel {
            let context = boundary.bare_span(SpanKind::Producer, &Context::current());
            config.inject(&context, &mut headers);
            return drop(peer.receive(headers).await);
        }
        let describe = || Description::new("send", 2);
        let span = match self.wrong {
            UsesTheAmbientParent => {
                let _attached = Context::new().attach();
                config.send(SpanKind::Producer, describe)
            }
            _ => config.send(SpanKind::Producer, describe),
        };
        let current = Context::current();
        let injected = if self.wrong == DropsTheContext { &current } else { span.context() };
        if self.wrong == DoublesTheHeader {
            let mut fresh = Headers::new();
            config.inject(injected, &mut fresh);
            fresh.into_iter().for_each(|(name, value)| headers.push(name, value));
        } else {
            config.inject(injected, &mut headers);
        }
        let (result, span) = span.process(peer.receive(headers)).await;
        boundary.finish(span, &result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_boundary_passes() {
    battery::inbound(Memory::new(Nothing)).await.assert();
    battery::outbound(Memory::new(Nothing)).await.assert();
}

#[track_caller]
fn fails(report: &Report, wrong: Wrong, case: &str, message: &str) {
    let failure = report.failure(case);
    let failure = failure.unwrap_or_else(|| panic!("{wrong:?} passed `{case}`:\n{report}"));
    assert!(failure.contains(message), "{wrong:?} fails `{case}` with:\n{failure}");
    let error = report.check().unwrap_err().to_string();
    assert!(error.contains(&format!("- {case}:\n    ")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_inbound_boundary_fails_in_its_own_words() {
    for (wrong, case, message) in [
        (
            DropsTheContext,
            "continues the caller's trace",
            "there is no current context: it was dropped",
        ),
        (DropsTheContext, "keeps its context current in the handler", "it was dropped on the way"),
        (DropsTheContext, "nests tracing spans", "no child of the boundary's span"),
        (DropsTheContext, "hands out its span", "boundary() does not reach the span"),
        (EndsTwice, "ends once on success", "the span `process` was ended 2 times"),
        (
            UsesTheAmbientParent,
            "starts from an empty context",
            "what happened to be current on the thread became the parent",
        ),
        (
            LosesTheCancel,
            "ends once on cancellation",
            "the cancellation is lost: error.type is missing",
        ),
        (LeavesTheSpanOpen, "ends once on success", "the span `bare` never ended"),
        (SwallowsThePanic, "ends once on a panic", "the panic is lost: the status is Unset"),
        (SharesOneContext, "isolates 1,000 concurrent messages", "was handled in trace"),
        (TrustsEverybody, "links at a public edge", "the caller's trace was continued"),
        (TrustsEverybody, "ignores an untrusted caller", "the caller's trace was continued"),
        (EndsEarly, "ends once on success", "the span had ended before its message was done"),
    ] {
        fails(&battery::inbound(Memory::new(wrong)).await, wrong, case, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_outbound_boundary_fails_in_its_own_words() {
    for (wrong, case, message) in [
        (DropsTheContext, "injects its own span", "not with its own"),
        (DropsTheContext, "starts a trace where none is current", "left without traceparent"),
        (EndsTwice, "ends once on success", "the span `send` was ended 2 times"),
        (DoublesTheHeader, "replaces a stale context", "the message left with traceparent 3 times"),
        (UsesTheAmbientParent, "injects its own span", "the trace is lost"),
        (UsesTheAmbientParent, "nests in tracing spans", "no child of the tracing span"),
        (LosesTheCancel, "ends once on cancellation", "the cancellation is lost"),
    ] {
        fails(&battery::outbound(Memory::new(wrong)).await, wrong, case, message);
    }
}

#[tokio::test]
async fn one_thread_proves_nothing_of_isolation() {
    let report = battery::inbound(Memory::new(Nothing)).await;
    let failure = report.failure("isolates 1,000 concurrent messages").unwrap();
    assert!(failure.contains("multi_thread"), "{failure}");
    assert_eq!(report.cases().iter().filter(|case| case.failure.is_some()).count(), 1);
}

/// A driver that is of no use.
struct Silent;

impl Inbound for Silent {
    type Boundary = ();
    const KIND: SpanKind = SpanKind::Server;

    async fn boundary(&self, _: Setup) {}

    async fn deliver(&self, (): &(), headers: Headers, _: Handler) {
        assert!(headers.iter().next().is_some(), "no headers came");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_serves_nothing_fails_everywhere_and_ends() {
    let report = battery::inbound(Silent).await;
    assert!(report.cases().iter().all(|case| case.failure.is_some()), "{report}");
    let failure = report.failure("continues the caller's trace").unwrap();
    assert_eq!(failure, "the message was not served: its handler never ran");
}

#[test]
fn headers_are_a_carrier_and_become_http_headers() {
    let mut headers = Headers::from([("Traceparent", "stale"), ("x", "1"), ("x", "2")]);
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    let recorder = throughline_testing::Recorder::new();
    let config = config.with_tracer_provider(&recorder.provider());
    let span = config.send(SpanKind::Client, || Description::new("call", 0));
    config.inject(span.context(), &mut headers);
    assert_eq!(headers.get_all("traceparent").count(), 1);
    headers.push("not a header", "is left out");
    let map = http::HeaderMap::from(headers);
    let names: Vec<_> = Headers::from(&map).iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["x", "x", "traceparent"]);
}
