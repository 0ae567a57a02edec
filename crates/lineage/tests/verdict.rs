//! What is a break, what is not, and what it is called.

mod common;

use std::time::{Duration, UNIX_EPOCH};

use common::*;
use std::sync::Arc;
use throughline_lineage::{Answer, Class, Forest, Kind, Resource, Settings, Span};

#[test]
fn a_whole_trace_is_unbroken_and_its_boundaries_are_counted() {
    let verdict = judge(order(&DEMO));
    assert!(verdict.is_unbroken(), "{verdict}");
    let summary = &verdict.summary;
    assert_eq!((summary.traces, summary.spans, summary.orphans), (1, 6, 0));
    assert_eq!(summary.broken_traces, 0);
    assert!(summary.services.iter().eq(["fulfilment", "gateway", "orders"]));
    assert_eq!(summary.boundaries, [(Class::Http, 2)].into());
}

#[test]
fn a_raw_http_call_is_named_by_class_service_and_span() {
    let verdict = judge(broken_http(&DEMO));
    let [found] = verdict.breaks.as_slice() else { panic!("{verdict}") };
    assert_eq!(
        (found.class, found.answer, found.service.as_str(), found.span.as_str()),
        (Class::Http, Answer::Broken, "orders", "POST /orders")
    );
    assert_eq!((found.trace_id, found.span_id), (trace(2), id(3)));
    assert_eq!(found.replacement, Some("throughline::reqwest::ClientMiddleware"));
    assert_eq!((verdict.summary.traces, verdict.summary.broken_traces), (2, 1));
    assert_eq!(verdict.summary.boundaries[&Class::Http], 1, "the leg behind the break is whole");
}

#[test]
fn a_raw_spawn_is_a_break_of_its_task() {
    let verdict = judge(broken_spawn(&DEMO));
    let [found] = verdict.breaks.as_slice() else { panic!("{verdict}") };
    assert_eq!(
        (found.class, found.service.as_str(), found.span.as_str()),
        (Class::Task, "orders", "audit")
    );
    assert!(found.replacement.unwrap().starts_with("throughline::task::spawn"));
}

#[test]
fn a_message_without_its_sender_in_the_midst_of_a_trace_is_a_break() {
    let mut spans = order(&DEMO);
    let batch = spans.last_mut().unwrap();
    batch.kind = Kind::Consumer;
    batch.attributes.push("messaging.system.name", "kafka");
    assert!(judge(spans.clone()).is_unbroken());
    spans.last_mut().unwrap().attributes.push("throughline.parent.expected", true);
    let verdict = judge(spans.clone());
    let [found] = verdict.breaks.as_slice() else { panic!("{verdict}") };
    assert_eq!((found.class, found.span_id), (Class::Kafka, id(6)));
    let text = Forest::new(spans).traces()[0].to_string();
    assert!(text.contains("orphan: a sender's context is missing"), "{text}");
}

#[test]
fn the_verdict_knows_no_names() {
    let renamed =
        Names { services: ["a", "b", "c"], legs: ["X /1", "X /2", "X /3"], task: "whatever" };
    assert!(judge(order(&renamed)).is_unbroken());
    for (broken, class, service, span) in [
        (broken_http(&renamed), Class::Http, "b", "X /2"),
        (broken_spawn(&renamed), Class::Task, "b", "whatever"),
    ] {
        let verdict = judge(broken);
        let [found] = verdict.breaks.as_slice() else { panic!("{verdict}") };
        assert_eq!(
            (found.class, found.service.as_str(), found.span.as_str()),
            (class, service, span)
        );
    }
    // Who took part says nothing either: a trace that leaves a service out is no break.
    assert!(judge(order(&DEMO).into_iter().take(2)).is_unbroken());
}

#[test]
fn inbound_breaks_are_classed_by_their_conventions() {
    let (http, kafka) =
        ("throughline::reqwest::ClientMiddleware", "throughline::kafka::FutureProducer");
    let (grpc, sqs) =
        ("throughline::tonic::ClientLayer", "throughline::sqs::Interceptor on the sender's client");
    for (kind, attribute, class, replacement) in [
        (Kind::Server, ("http.request.method", "GET"), Class::Http, Some(http)),
        (Kind::Server, ("rpc.system.name", "grpc"), Class::Grpc, Some(grpc)),
        (Kind::Consumer, ("messaging.system.name", "kafka"), Class::Kafka, Some(kafka)),
        (Kind::Consumer, ("messaging.system.name", "aws.sqs"), Class::Sqs, Some(sqs)),
    ] {
        let root = span(1, 1, "root").kind(kind).with(attribute.0, attribute.1);
        assert!(judge([root.clone()]).is_unbroken(), "nobody expected a parent of {class}");
        let verdict = judge([root.expecting()]);
        assert_eq!(verdict.breaks[0].class, class);
        assert_eq!(verdict.breaks[0].replacement, replacement);
    }
}

#[test]
fn declared_roots_and_polls_are_no_breaks() {
    let allowed = [
        span(1, 1, "nightly").with("throughline.root", "nightly"),
        span(2, 1, "poll orders").kind(Kind::Client).with("messaging.operation.type", "receive"),
        span(3, 1, "commit orders").kind(Kind::Client).with("messaging.operation.type", "settle"),
    ];
    let verdict = judge(allowed);
    assert!(verdict.is_unbroken(), "{verdict}");
    let send =
        span(1, 1, "send orders").kind(Kind::Client).with("messaging.operation.type", "send");
    assert_eq!(judge([send]).breaks[0].class, Class::Task);
}

#[test]
fn the_first_span_of_a_child_process_is_a_break_of_the_process() {
    let (parent, child) = (process("fulfilment", 10, 1), process("labels", 20, 10));
    let served = span(1, 1, "POST /reserve").kind(Kind::Server).at(0, 50).by(&parent);
    let first = span(2, 2, "print label").at(10, 20).by(&child);
    let second = span(3, 3, "tidy up").at(21, 30).by(&child);
    let verdict = judge([served.clone(), first.clone(), second]);
    let classes: Vec<_> =
        verdict.breaks.iter().map(|found| (found.class, found.span.as_str())).collect();
    assert_eq!(classes, [(Class::Process, "print label"), (Class::Task, "tidy up")]);
    assert_eq!(verdict.breaks[0].replacement, None, "there is no call for it yet");
    assert!(verdict.breaks[0].reason.contains("fulfilment"), "{verdict}");

    // A parent that sends no spans is a shell, or whatever starts services here.
    assert_eq!(judge([first]).breaks[0].class, Class::Task);

    // Handed on, the context crosses the same boundary whole.
    let whole = span(1, 2, "print label").under(1).remote(true).at(10, 20).by(&child);
    let verdict = judge([served, whole]);
    assert!(verdict.is_unbroken());
    assert_eq!(verdict.summary.boundaries, [(Class::Process, 1)].into());
}

#[test]
fn a_service_started_by_another_may_still_lose_a_task() {
    let (starter, started) = (process("demo", 10, 1), process("orders", 20, 10));
    let verdict = judge([
        span(1, 1, "POST /checkout").kind(Kind::Server).by(&starter),
        span(1, 2, "POST /orders").kind(Kind::Server).under(1).remote(true).at(2, 8).by(&started),
        span(2, 3, "audit").at(5, 9).by(&started),
    ]);
    assert_eq!(verdict.breaks[0].class, Class::Task, "{verdict}");
}

#[test]
fn a_pid_is_one_process_where_it_was_given_and_of_another_service() {
    let place = |resource: Arc<Resource>, key: &str, value: &str| {
        let mut resource = (*resource).clone();
        resource.attributes.push(key, value);
        Arc::new(resource)
    };
    let class = |parent: &Arc<Resource>, child: &Arc<Resource>| {
        let verdict = judge([
            span(1, 1, "POST /reserve").kind(Kind::Server).at(0, 50).by(parent),
            span(2, 2, "print label").at(10, 20).by(child),
        ]);
        verdict.breaks[0].class
    };
    let (parent, child) = (process("fulfilment", 10, 1), process("labels", 20, 10));
    for key in ["host.name", "container.id"] {
        let of = |value| (place(parent.clone(), key, "a"), place(child.clone(), key, value));
        let (parent, child) = of("a");
        assert_eq!(class(&parent, &child), Class::Process, "{key}");
        let (parent, child) = of("b");
        assert_eq!(class(&parent, &child), Class::Task, "{key}: the same number by chance");
    }
    // A service that forks itself is one service.
    assert_eq!(class(&parent, &process("fulfilment", 20, 10)), Class::Task);
}

#[test]
fn a_trace_broken_twice_is_one_broken_trace() {
    let verdict = judge([
        span(1, 1, "root").kind(Kind::Server),
        span(1, 3, "lost").under(2),
        span(1, 5, "lost, too").under(4),
        span(2, 1, "whole").kind(Kind::Server),
    ]);
    let summary = &verdict.summary;
    assert_eq!((summary.traces, summary.broken_traces, summary.orphans), (2, 1, 2));
}

#[test]
fn the_last_of_two_values_counts() {
    let doubled = span(1, 1, "x").with("key", "first").with("key", "last");
    assert_eq!(doubled.attributes.get_str("key"), Some("last"));
}

fn live(now: u64, settle: u64) -> Settings {
    let now = UNIX_EPOCH + Duration::from_nanos(T0 + now * MS);
    Settings::live(now, Duration::from_millis(settle))
}

#[test]
fn a_missing_parent_is_pending_until_it_has_settled_then_broken() {
    let forest = Forest::new([span(1, 2, "work").under(1).remote(false).at(0, 100)]);
    for settings in [live(100, 50), live(149, 50)] {
        let verdict = forest.judge(&settings);
        assert!(verdict.is_unbroken(), "{verdict}");
        assert_eq!((verdict.summary.pending, verdict.summary.orphans), (1, 0));
        assert_eq!(verdict.pending[0].answer, Answer::Pending);
        let text = verdict.to_string();
        assert!(text.contains(", 1 pending"), "{text}");
        assert!(text.contains("\npending task: `work` in unknown service"), "{text}");
        assert!(text.contains("has not come yet"), "{text}");
    }
    for settings in [live(150, 50), live(1000, 50), Settings::complete()] {
        let verdict = forest.judge(&settings);
        assert_eq!((verdict.summary.pending, verdict.summary.orphans), (0, 1));
        assert_eq!(verdict.breaks[0].answer, Answer::Broken);
        assert_eq!(verdict.breaks[0].replacement, None, "no call brings a lost span back");
    }
}

#[test]
fn siblings_wait_for_their_parent_together() {
    let forest = Forest::new([
        span(1, 2, "early").under(1).at(0, 10),
        span(1, 3, "late").under(1).at(0, 100),
    ]);
    assert_eq!(forest.judge(&live(110, 50)).summary.pending, 2);
    assert_eq!(forest.judge(&live(160, 50)).summary.orphans, 2);
}

#[test]
fn a_remote_parent_that_never_came_is_external_and_broken_unless_allowed() {
    let entered = |remote: Option<bool>| -> Span {
        let entered = span(1, 2, "GET /").kind(Kind::Server).under(1).by(&service("gateway"));
        remote.map_or(entered.clone(), |remote| entered.remote(remote))
    };
    let forest = Forest::new([entered(Some(true))]);
    let verdict = forest.judge(&Settings::complete());
    assert_eq!(verdict.breaks[0].answer, Answer::External);
    assert_eq!(forest.judge(&live(0, 50)).pending[0].answer, Answer::Pending);

    let allowed = Settings::complete().allow_external("gateway");
    let verdict = forest.judge(&allowed);
    assert!(verdict.is_unbroken(), "{verdict}");
    assert_eq!(verdict.summary.external_allowed, 1);
    let elsewhere = Settings::complete().allow_external("orders");
    assert!(!forest.judge(&elsewhere).is_unbroken(), "another service is not meant");

    // What is not known to be remote is not excused as such.
    for remote in [Some(false), None] {
        let verdict = Forest::new([entered(remote)]).judge(&allowed);
        assert_eq!(verdict.breaks[0].answer, Answer::Broken, "{remote:?}");
    }
}

#[test]
fn breaks_alike_are_told_once_and_escaped() {
    let bad = "audit\u{1b}[2J\n\u{202e}";
    let spans = (1..=3).map(|order| span(order, 1, bad).by(&service("or\tders")));
    let text = judge(spans).to_string();
    assert!(text.contains("3 times"), "{text}");
    assert!(text.contains(r"audit\u{1b}[2J\n\u{202e}"), "{text}");
    assert!(text.contains(r"or\tders"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\t']), "{text}");
    insta(
        &text,
        "\
3 traces, 3 spans, 1 service, 3 orphans
broken task: `audit\\u{1b}[2J\\n\\u{202e}` in or\\tders, 3 times, first in trace 01010101010101010101010101010101, span 0101010101010101
  nobody carried the context to where this internal span was started: a spawn, a thread or a channel
  use throughline::task::spawn (spawn_blocking; spawn_linked for a trace of its own)
",
    );
}

fn insta(got: &str, wanted: &str) {
    assert!(got == wanted, "got:\n{got}\nwanted:\n{wanted}");
}

#[test]
fn programs_get_the_same_verdict() {
    let verdict = serde_json::to_value(judge(broken_http(&DEMO))).unwrap();
    assert_eq!(verdict["breaks"][0]["class"], "http");
    assert_eq!(verdict["breaks"][0]["answer"], "broken");
    assert_eq!(verdict["breaks"][0]["trace_id"], trace(2).to_string());
    assert_eq!(verdict["summary"]["boundaries"], serde_json::json!({"http": 1}));
    assert_eq!(verdict["summary"]["services"][0], "fulfilment");
}
