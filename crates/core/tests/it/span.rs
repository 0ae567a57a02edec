#![expect(clippy::disallowed_methods, reason = "threads that share a span, and no context")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use throughline_core::{
    Boundary, BoundarySpan, Config, Description, End, InContext, Trust, W3cPropagator, boundary,
};

pub(crate) struct Bench {
    exporter: InMemorySpanExporter,
    pub(crate) provider: SdkTracerProvider,
    pub(crate) config: Config,
}

pub(crate) fn bench_with(sampler: Sampler) -> Bench {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(sampler)
        .build();
    let config = Config::new("test", "1")
        .with_propagator(W3cPropagator::new())
        .with_tracer_provider(&provider);
    Bench { exporter, provider, config }
}

pub(crate) fn bench() -> Bench {
    bench_with(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
}

pub(crate) type Headers = Vec<(String, String)>;

pub(crate) fn from(flags: u8) -> Headers {
    let value = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{flags}");
    vec![("traceparent".to_owned(), value)]
}

pub(crate) fn remote(flags: u8) -> SpanContext {
    SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::new(flags),
        true,
        TraceState::NONE,
    )
}

impl Bench {
    pub(crate) fn receive(&self, headers: &Headers) -> BoundarySpan {
        let extraction = self.config.extract(headers);
        self.config.receive(extraction, SpanKind::Server, || Description::new("serve", 4))
    }

    pub(crate) fn ended(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().expect("no poisoned lock")
    }

    #[track_caller]
    pub(crate) fn the_one(&self) -> SpanData {
        let mut ended = self.ended();
        assert_eq!(ended.len(), 1, "{ended:#?}");
        ended.remove(0)
    }
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Vec<String> {
    let found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).collect()
}

#[track_caller]
pub(crate) fn assert_end(span: &SpanData, status: &Status, error_type: &[&str]) {
    assert_eq!(&span.status, status);
    assert_eq!(attribute(span, "error.type"), error_type);
}

#[test]
fn a_span_continues_its_sender() {
    let bench = bench();
    bench.receive(&from(1)).end(End::Completed);
    let span = bench.the_one();
    assert_eq!(span.span_context.trace_id(), remote(1).trace_id());
    assert_eq!(span.parent_span_id, remote(1).span_id());
    assert!(span.parent_span_is_remote);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_end(&span, &Status::Unset, &[]);
}

#[test]
fn each_end_is_told_once() {
    let error = Status::error("broke");
    let ends = [
        (End::Completed, Status::Unset, vec![]),
        (End::Failed { error_type: "503".into(), description: "broke".into() }, error, vec!["503"]),
        (End::Cancelled, Status::Unset, vec!["cancelled"]),
        (End::Panicked, Status::error("the handler panicked"), vec!["panic"]),
    ];
    for (end, status, error_type) in ends {
        let bench = bench();
        let mut span = bench.receive(&from(1));
        span.finish(end);
        // Neither a second end nor the drop adds a word.
        span.finish(End::Panicked);
        drop(span);
        assert_end(&bench.the_one(), &status, &error_type);
    }
}

#[test]
fn dropped_is_cancelled() {
    let bench = bench();
    drop(bench.receive(&from(1)));
    assert_end(&bench.the_one(), &Status::Unset, &["cancelled"]);
}

#[test]
fn a_panic_in_it_is_told_and_one_elsewhere_is_not() {
    let bench = bench();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _bystander = bench.receive(&from(1));
        bench.receive(&from(1)).enter(|| panic!("boom"));
    }));
    assert!(result.is_err());
    let ended = bench.ended();
    assert_end(&ended[0], &Status::error("the handler panicked"), &["panic"]);
    assert_end(&ended[1], &Status::Unset, &["cancelled"]);
}

#[test]
fn an_unsampled_sender_costs_nothing_and_goes_on_unchanged() {
    let bench = bench();
    let extraction = bench.config.extract(&from(2));
    let span = bench.config.receive(extraction, SpanKind::Server, || {
        unreachable!("no attribute is computed for a span that nobody keeps")
    });
    assert!(!span.is_recording());
    assert_eq!(span.context().span().span_context(), &remote(2));
    let _attached = span.context().clone().attach();
    let call = bench.config.send(SpanKind::Client, || unreachable!("nor for a call in it"));
    let mut left = Headers::new();
    bench.config.inject(call.context(), &mut left);
    let (name, value) = &left[0];
    assert_eq!((left.len(), &**name, value.len()), (1, "traceparent", 55));
    let came = from(2)[0].1.clone();
    assert_eq!((&value[..36], &value[52..]), (&came[..36], &came[52..]), "the trace goes on");
    assert_ne!(value[36..52], came[36..52], "the call is another span, though nobody keeps it");
    drop((call, span));
    assert!(bench.ended().is_empty());
}

#[test]
fn a_sampler_is_asked_about_an_unsampled_sender_only_on_request() {
    let bench = bench_with(Sampler::AlwaysOn);
    drop(bench.receive(&from(0)));
    assert!(bench.ended().is_empty());
    let asking = bench.config.clone().ask_sampler(true);
    let extraction = asking.extract(&from(0));
    drop(asking.receive(extraction, SpanKind::Server, || Description::new("serve", 1)));
    assert_eq!(bench.the_one().parent_span_id, remote(0).span_id());
}

#[test]
fn what_the_own_sampler_drops_is_dropped_below_too() {
    let bench = bench_with(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let span = bench.receive(&Headers::new());
    assert!(!span.is_recording() && !span.is_carried());
    let context = span.context().span().span_context().clone();
    assert!(context.is_valid() && !context.is_sampled());
    let handle = span.handle().expect("a second layer has to find it");
    assert_eq!(handle.context().span().span_context(), &context);
    assert!(!handle.is_recording());
}

#[test]
fn a_provider_that_was_shut_down_leaves_the_sender_as_parent() {
    let bench = bench();
    bench.provider.shutdown().expect("shuts down");
    let span = bench.receive(&from(1));
    assert!(!span.is_recording() && span.is_carried());
    assert_eq!(span.context().span().span_context(), &remote(1));
}

#[test]
fn at_a_public_edge_a_linked_trace_begins() {
    let mut bench = bench();
    bench.config = bench.config.trust(Trust::Link);
    bench.receive(&from(1)).end(End::Completed);
    let span = bench.the_one();
    assert_ne!(span.span_context.trace_id(), remote(1).trace_id());
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_eq!(span.links.links.len(), 1);
    assert_eq!(span.links.links[0].span_context, remote(1));
}

#[test]
fn what_a_stranger_sends_along_is_not_stored() {
    let mut bench = bench();
    bench.config = bench.config.trust(Trust::Link);
    let mut headers = from(1);
    headers.push(("tracestate".to_owned(), "vendor=a-lot-of-text".to_owned()));
    bench.receive(&headers).end(End::Completed);
    let link = bench.the_one().links.links[0].span_context.clone();
    assert_eq!(link.trace_state(), &TraceState::NONE);
}

#[test]
fn a_lacking_parent_is_marked_where_one_was_expected() {
    let mut bench = bench();
    bench.config = bench.config.expect_parent(true);
    let malformed = vec![("traceparent".to_owned(), "00-broken".to_owned())];
    for (headers, marked) in [(Headers::new(), true), (malformed, true), (from(1), false)] {
        bench.receive(&headers).end(End::Completed);
        let mark = attribute(&bench.the_one(), "throughline.parent.expected");
        assert_eq!(!mark.is_empty(), marked, "{headers:?}");
        bench.exporter.reset();
    }
}

#[test]
fn the_handler_reaches_the_span_through_others() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let handle = span.enter(|| {
        let inner = bench.config.send(SpanKind::Client, || Description::new("call", 1));
        let _attached = inner.context().clone().attach();
        boundary().set_attribute("order.id", 42);
        boundary()
    });
    assert!(handle.is_recording());
    // Attached, it keeps the trace, and not the span that happened to be current.
    assert_eq!(handle.context().span().span_context(), span.context().span().span_context());
    assert_eq!(handle.span_context().as_ref(), Some(span.context().span().span_context()));
    span.end(End::Completed);
    handle.set_attribute("too.late", true);
    assert!(!handle.is_recording());

    let ended = bench.ended();
    assert_eq!(ended[0].name, "call");
    assert_eq!(ended[1].name, "serve");
    assert_eq!(attribute(&ended[1], "order.id"), ["42"]);
    assert!(attribute(&ended[1], "too.late").is_empty());
}

#[derive(Debug, thiserror::Error)]
#[error("no stock left")]
struct OutOfStock(#[source] io::Error);

#[test]
fn the_reason_of_the_handler_stands() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    span.enter(|| {
        boundary().fail(&OutOfStock(io::Error::other("warehouse is dark")));
        boundary().fail(&io::Error::other("only a consequence"));
    });
    span.end(End::failed("500"));
    let span = bench.the_one();
    let status = Status::error("no stock left: warehouse is dark");
    assert_end(&span, &status, &["it::span::OutOfStock"]);
}

/// HTTP clients put the whole URL into their errors.
#[test]
fn a_reason_tells_no_secrets() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let error = io::Error::other("no answer from (http://user:pw@host/a?sig=S3CRET&page=2)");
    span.enter(|| boundary().fail(&error));
    drop(span);
    let told = "no answer from (http://REDACTED:REDACTED@host/a?sig=REDACTED&page=2)";
    assert_eq!(bench.the_one().status, Status::error(told));
}

#[test]
fn an_error_behind_dyn_has_no_type_to_tell() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let error: Box<dyn std::error::Error> = "opaque".into();
    span.enter(|| boundary().fail(&*error));
    drop(span);
    assert_end(&bench.the_one(), &Status::error("opaque"), &["_OTHER"]);
}

#[test]
fn outside_of_every_boundary_the_handle_does_nothing() {
    let nowhere = boundary();
    nowhere.set_attribute("a", 1);
    nowhere.fail(&io::Error::other("nobody sees this on a span"));
    assert!(!nowhere.is_recording());
    assert_eq!(nowhere.span_context(), None);
    assert!(!Boundary::default().is_recording());
}

#[test]
fn a_route_is_refined_once() {
    let bench = bench();
    let span = bench.receive(&from(1));
    let handle = span.handle().expect("recorded");
    handle.refine_route(|| ("GET /inner", "/inner"));
    handle.refine_route(|| ("GET /again", "/again"));
    span.end(End::Completed);
    let span = bench.the_one();
    assert_eq!(span.name, "GET /inner");
    assert_eq!(attribute(&span, "http.route"), ["/inner"]);
}

/// Records the current span in its drop.
struct Witness<'a>(&'a std::cell::RefCell<Vec<SpanId>>);

impl Witness<'_> {
    fn testify(&self) {
        let current = Context::current().span().span_context().span_id();
        self.0.borrow_mut().push(current);
    }
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        self.testify();
    }
}

/// Polls once and is pending once.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn the_context_is_current_in_every_poll_and_in_the_drop() {
    let mut task = Task::from_waker(Waker::noop());
    for is_dropped_early in [false, true] {
        let bench = bench();
        let seen = std::cell::RefCell::new(Vec::new());
        let span = bench.receive(&from(1));
        let id = span.context().span().span_context().span_id();
        {
            let witness = Witness(&seen);
            let mut future = pin!(span.process(async move {
                witness.testify();
                yield_once().await;
                witness.testify();
            }));
            assert!(future.as_mut().poll(&mut task).is_pending());
            assert!(!Context::current().has_active_span(), "nothing stays behind");
            if !is_dropped_early {
                let Poll::Ready(((), span)) = future.as_mut().poll(&mut task) else {
                    panic!("ready at the second poll")
                };
                span.end(End::Completed);
            }
        }
        let expected = if is_dropped_early { 2 } else { 3 };
        assert_eq!(*seen.borrow(), vec![id; expected]);
        let error_type: &[&str] = if is_dropped_early { &["cancelled"] } else { &[] };
        assert_end(&bench.the_one(), &Status::Unset, error_type);
    }
}

#[test]
fn a_future_that_panics_ends_its_span_as_panicked() {
    let bench = bench();
    let span = bench.receive(&from(1));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut future = pin!(span.process(async { panic!("boom") }));
        let _ = future.as_mut().poll(&mut Task::from_waker(Waker::noop()));
    }));
    assert!(result.is_err());
    assert_end(&bench.the_one(), &Status::error("the handler panicked"), &["panic"]);
}

#[test]
fn a_future_in_a_context_is_dropped_in_it() {
    let seen = std::cell::RefCell::new(Vec::new());
    let witness = Witness(&seen);
    let context = Context::new().with_remote_span_context(remote(1));
    let future = InContext::new(async move { witness.testify() }, context);
    drop(future);
    assert_eq!(*seen.borrow(), [remote(1).span_id()]);
}

#[test]
fn a_linked_root_is_marked_and_linked() {
    let bench = bench();
    let mut caller = bench.receive(&from(1));
    let job = caller.enter(|| bench.config.root("nightly"));
    job.end(End::Completed);
    let caller_context = caller.context().span().span_context().clone();
    let job = bench.the_one();
    assert_eq!(job.name, "nightly");
    assert_eq!(job.parent_span_id, SpanId::INVALID);
    assert_ne!(job.span_context.trace_id(), caller_context.trace_id());
    assert_eq!(job.links.links[0].span_context, caller_context);
    assert_eq!(attribute(&job, "throughline.root"), ["nightly"]);
}

/// The owner drops the span while others use the handle: it ends once, nothing is torn.
#[test]
fn handles_race_the_end() {
    let bench = bench();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let span = bench.receive(&from(1));
            let handle = span.handle().expect("recorded");
            for _ in 0..4 {
                let handle = handle.clone();
                scope.spawn(move || {
                    for i in 0..50 {
                        handle.set_attribute("n", i);
                        if i == 25 {
                            handle.fail(&io::Error::other("raced"));
                        }
                    }
                });
            }
            scope.spawn(move || drop(span));
        }
    });
    let ended = bench.ended();
    assert_eq!(ended.len(), 64);
    for span in &ended {
        assert_eq!(attribute(span, "error.type").len(), 1, "{:?}", span.attributes);
    }
}

#[test]
fn attributes_of_a_span_can_be_set_by_its_owner() {
    let bench = bench();
    let span = bench.receive(&from(1));
    span.set_attribute("k", "v");
    span.end(End::Completed);
    assert!(bench.the_one().attributes.contains(&KeyValue::new("k", "v")));
}
