use opentelemetry::trace::{
    Span, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use throughline_testing::tree::{TreeError, check_tree};
use throughline_testing::{Failure, Recorder};

/// An order: reserved, then failed by a call, with a job linked to it.
fn order(recorder: &Recorder) {
    let gateway = recorder.provider_for("gateway").tracer("test");
    let span = |name: &'static str, kind, parent: &Context| {
        let builder = gateway.span_builder(name).with_kind(kind);
        parent.with_span(gateway.build_with_context(builder, parent))
    };
    let root = span("POST /orders/{id}", SpanKind::Server, &Context::new());
    let call = span("POST", SpanKind::Client, &root);
    call.span().set_attribute(KeyValue::new("http.response.status_code", 503));
    call.span().set_attribute(KeyValue::new("error.type", "503"));
    call.span().set_status(Status::error("no (stock)"));
    call.span().end();
    span("reserve", SpanKind::Internal, &root).span().end();
    let job = span("job", SpanKind::Internal, &Context::new());
    job.span().add_link(root.span().span_context().clone(), Vec::new());
    job.span().end();
    root.span().end();
}

const ORDER: &str = "
    SERVER POST /orders/{id} [gateway]
      INTERNAL reserve
      CLIENT POST !error(no (stock)) {http.response.status_code=503, error.type=*}

    INTERNAL job ~(POST /orders/{id})
";

#[track_caller]
fn difference(recorder: &Recorder, expected: &str) -> String {
    match recorder.check_tree(expected) {
        Err(Failure::Tree(TreeError::Different(text))) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tree_is_as_expected_in_any_order_of_siblings() {
    let recorder = Recorder::new();
    order(&recorder);
    recorder.assert_tree(ORDER);
    recorder.assert_tree(
        "
        INTERNAL job ~(POST /orders/{id})
        SERVER POST /orders/{id}
          CLIENT POST {error.type=503} !error
          INTERNAL reserve [gateway]
        ",
    );
}

#[test]
fn what_is_said_of_a_span_is_read_in_any_order() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let mut span = tracer.start("send");
    let (trace, id) = (1_u128.into(), 1_u64.into());
    let elsewhere = SpanContext::new(trace, id, TraceFlags::SAMPLED, true, TraceState::NONE);
    span.add_link(elsewhere, Vec::new());
    span.set_attribute(KeyValue::new("error.type", "b"));
    span.set_status(Status::error("1 of 2 (b)"));
    span.end();
    let said = ["~(elsewhere)", "{error.type=b}", "!error(1 of 2 (b))"];
    for [first, second, third] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    {
        let expected = format!("INTERNAL send {} {} {}", said[first], said[second], said[third]);
        recorder.assert_tree(&expected);
    }
}

#[test]
fn a_difference_is_told_line_by_line() {
    let recorder = Recorder::new();
    order(&recorder);
    let expected = "
        SERVER POST /orders/{id} [orders]
          CLIENT POST {http.response.status_code=200}
          INTERNAL charge
            INTERNAL print
        INTERNAL job
    ";
    assert_eq!(
        difference(&recorder, expected),
        "\
- SERVER POST /orders/{id} [orders]
+ SERVER POST /orders/{id} [gateway]
-   CLIENT POST {http.response.status_code=200}
+   CLIENT POST !error(no (stock)) {http.response.status_code=503}
-   INTERNAL charge
-     INTERNAL print
+   INTERNAL reserve [gateway]
- INTERNAL job
+ INTERNAL job ~(POST /orders/{id})
"
    );
}

#[test]
fn a_span_in_the_wrong_place_is_seen_in_both() {
    let recorder = Recorder::new();
    order(&recorder);
    let expected = "
        SERVER POST /orders/{id}
          CLIENT POST !error
            INTERNAL reserve
        INTERNAL job ~(POST /orders/{id})
    ";
    assert_eq!(
        difference(&recorder, expected),
        "  SERVER POST /orders/{id}\n    CLIENT POST !error\n-     INTERNAL reserve\n+   INTERNAL \
         reserve [gateway]\n  INTERNAL job ~(POST /orders/{id})\n"
    );
    assert!(difference(&recorder, "").lines().all(|line| line.starts_with('+')));
}

#[test]
fn siblings_that_look_alike_find_their_places() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    tracer.in_span("root", |_| {
        for value in [2, 1, 1] {
            let attributes = [KeyValue::new("n", value)];
            drop(tracer.build(tracer.span_builder("part").with_attributes(attributes)));
        }
    });
    // The first line would take any of them; it must leave the last two theirs.
    recorder.assert_tree(
        "
        INTERNAL root
          INTERNAL part
          INTERNAL part {n=1}
          INTERNAL part {n=2}
        ",
    );
    assert!(recorder.check_tree("INTERNAL root\n  INTERNAL part\n  INTERNAL part").is_err());
}

#[test]
fn a_caller_played_by_the_test_is_no_orphan_and_a_lost_parent_is() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let under = |remote| {
        let parent =
            SpanContext::new(7.into(), 8.into(), TraceFlags::SAMPLED, remote, TraceState::NONE);
        Context::new().with_remote_span_context(parent)
    };
    let builder = || tracer.span_builder("serve").with_kind(SpanKind::Server);
    drop(tracer.build_with_context(builder(), &under(true)));
    recorder.assert_tree("SERVER serve");
    recorder.assert_no_orphans();
    recorder.clear();
    drop(tracer.build_with_context(builder(), &under(false)));
    recorder.assert_tree("SERVER serve (parent missing)");
    assert!(matches!(recorder.check_no_orphans(), Err(Failure::Orphans(_))));
}

#[test]
fn an_expected_tree_that_makes_no_sense_is_refused() {
    for (text, line, reason) in [
        ("\n  SERVER a\n INTERNAL b", 3, "further to the left"),
        ("SERVER a\n   INTERNAL b", 2, "two spaces"),
        ("server a", 1, "begins with SERVER"),
        ("SERVER", 1, "no name"),
        ("SERVER a\n  CLIENT !error", 2, "no name"),
    ] {
        let error = check_tree(&[], text).unwrap_err();
        assert!(matches!(&error, TreeError::Malformed { line: at, .. } if *at == line), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn failures_are_told_by_name() {
    let recorder = Recorder::new();
    assert_eq!(recorder.check_one_trace().unwrap_err(), Failure::NoSpan);
    let tracer = recorder.provider().tracer("test");
    let open = Context::new().with_span(tracer.start("open"));
    assert_eq!(recorder.check_all_ended().unwrap_err().to_string(), "a span never ended: open");
    open.span().end();
    recorder.assert_all_ended();
    assert_eq!(recorder.assert_one_trace().nodes().len(), 1);
    open.span().end();
    let twice = recorder.check_all_ended().unwrap_err();
    assert_eq!(twice.to_string(), "ended more than once: open (2 times)");
    drop(tracer.start("other"));
    let several = recorder.check_one_trace().unwrap_err().to_string();
    assert!(several.starts_with("there are 2 traces, where one was expected:\n"), "{several}");
    let lost = recorder.check_no_orphans().unwrap_err().to_string();
    assert!(lost.contains("broken task: `other`"), "{lost}");
}

/// A poll and what is settled later are of no message's trace, and of no number that a test knows.
#[test]
fn what_fetches_and_settles_messages_can_be_left_out() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let call = |operation: &'static str, parent: &Context| {
        let of = KeyValue::new("messaging.operation.type", operation);
        let builder = tracer.span_builder(operation).with_kind(SpanKind::Client);
        drop(tracer.build_with_context(builder.with_attributes([of]), parent));
    };
    call("receive", &Context::new());
    assert_eq!(recorder.check_one_trace().unwrap_err(), Failure::NoSpan);
    let handler = Context::new().with_span(tracer.start("process parcels"));
    call("settle", &handler);
    handler.span().end();
    call("settle", &Context::new());
    assert_eq!(recorder.assert_one_trace().nodes().len(), 2);
    let of_work = "
    INTERNAL process parcels
      CLIENT settle
    ";
    recorder.assert_tree_without_housekeeping(of_work);
    assert!(matches!(recorder.check_tree(of_work), Err(Failure::Tree(_))));
    // What only looks like it is a break, and stays.
    call("send", &Context::new());
    assert!(recorder.check_tree_without_housekeeping(of_work).is_err());
    assert!(recorder.check_one_trace().is_err());
}

#[test]
#[should_panic(expected = "- SERVER a")]
fn assertions_panic_with_the_difference() {
    Recorder::new().assert_tree("SERVER a");
}
