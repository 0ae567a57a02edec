#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use throughline_testing::lineage::{AnyValue, Kind};
use throughline_testing::{Failure, Recorder};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn open_and_ended_spans_are_told_apart() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let mut first = tracer.start("first");
    let second = tracer.start("second");
    assert_eq!(recorder.open_spans().len(), 2);
    first.end();
    assert_eq!(recorder.spans()[0].name, "first");
    assert_eq!(recorder.open_spans()[0].name, "second");
    // A span that is dropped ends, too.
    drop(second);
    assert!(recorder.open_spans().is_empty());
    assert!(recorder.ended_twice().is_empty());
}

#[test]
fn a_recorder_that_nobody_uses_proves_nothing() {
    let recorder = Recorder::new();
    assert_eq!(recorder.check_no_orphans(), Err(Failure::NoSpan));
    assert_eq!(recorder.check_one_trace().map(|_| ()), Err(Failure::NoSpan));
}

#[test]
fn an_orphan_is_seen_before_it_ends() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let served = tracer.span_builder("serve").with_kind(SpanKind::Server);
    let served = Context::new().with_span(tracer.build_with_context(served, &Context::new()));
    drop(tracer.start_with_context("work", &served));
    assert_eq!(recorder.check_no_orphans(), Ok(()), "its parent is there, though open");
    let _lost = tracer.start("lost");
    let failure = recorder.check_no_orphans().unwrap_err();
    assert!(failure.to_string().contains("`lost`"), "{failure}");
}

#[test]
fn a_second_end_is_seen() {
    let recorder = Recorder::new();
    let context = Context::new().with_span(recorder.provider().tracer("test").start("work"));
    context.span().end();
    context.span().end();
    drop(context);
    assert_eq!(recorder.spans().len(), 1, "the SDK hides it");
    assert_eq!(recorder.ended_twice(), [("work".to_owned(), 2)]);
}

#[test]
fn several_services_make_one_trace() {
    let recorder = Recorder::new();
    let (gateway, orders) = (recorder.provider_for("gateway"), recorder.provider_for("orders"));
    let call = Context::new().with_span(gateway.tracer("test").start("call"));
    drop(orders.tracer("test").start_with_context("answer", &call));
    call.span().end();
    let forest = recorder.forest();
    let [trace] = forest.traces() else { panic!("{forest:?}") };
    assert_eq!(trace.outline(), "call internal [gateway]\n  answer internal [orders]\n");
}

#[test]
fn a_span_keeps_all_it_says() {
    let recorder = Recorder::new();
    let scope = opentelemetry::InstrumentationScope::builder("lib").with_version("2").build();
    let tracer = recorder.provider().tracer_with_scope(scope);
    let builder = tracer
        .span_builder("work")
        .with_kind(opentelemetry::trace::SpanKind::Consumer)
        .with_attributes([KeyValue::new("n", 1), KeyValue::new("names", bools(&[true, false]))]);
    let mut span = tracer.build(builder);
    span.add_event("half", vec![KeyValue::new("at", 0.5)]);
    span.end();
    let span = recorder.spans().remove(0);
    assert_eq!((span.kind, span.parent_is_remote()), (Kind::Consumer, Some(false)));
    assert_eq!(span.attributes.get_int("n"), Some(1));
    assert_eq!(
        span.attributes.get("names"),
        Some(&AnyValue::Array(vec![AnyValue::Bool(true), AnyValue::Bool(false)]))
    );
    assert_eq!(span.events[0].attributes.get("at"), Some(&AnyValue::Double(0.5)));
    assert_eq!((span.scope.name.as_str(), span.scope.version.as_str()), ("lib", "2"));
    assert_eq!(span.service(), None, "nothing of the environment gets in");
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
}

fn bools(values: &[bool]) -> opentelemetry::Value {
    opentelemetry::Value::Array(values.to_vec().into())
}

#[test]
fn the_sampler_is_asked() {
    let recorder = Recorder::with_sampler(Sampler::AlwaysOff);
    let span = recorder.provider().tracer("test").start("work");
    assert!(span.span_context().is_valid() && !span.is_recording());
    drop(span);
    assert!(recorder.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_are_woken_by_what_they_wait_for() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let held = tracer.start("held");
    let waiting = tokio::spawn({
        let recorder = recorder.clone();
        async move {
            recorder.wait_for(2, SOON).await?;
            recorder
                .wait_until(SOON, |spans| spans.iter().any(|span| span.name == "third"))
                .await?;
            recorder.wait_all_ended(SOON).await
        }
    });
    for name in ["first", "second", "third"] {
        drop(tracer.start(name));
        tokio::task::yield_now().await;
    }
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap().len(), 4);
}

#[tokio::test]
async fn a_wait_in_vain_says_what_there_is() {
    let recorder = Recorder::new();
    let error = recorder.wait_for(1, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "waited 0ns for 1 span, and there is no span");
    assert_eq!(error.count(), 0);
    let open = recorder.provider().tracer("test").start("open");
    let error = recorder.wait_all_ended(Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("all spans to end"), "{error}");
    drop(open);
}
