//! The leg over SQS: a pickup that fails each time, an SQS of the user's, and one that is away.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use throughline_testing::embedded::sqs::{Fault, Operation};
use throughline_testing::embedded::{Kafka, Sqs};

use crate::harness::{access, assert_contains, demo, edges, run, said, traces};
use crate::service::Service;

const PICKUPS: &str = "pickups";
const DEAD: &str = "pickups-dead";

#[test]
fn a_pickup_that_fails_each_time_ends_as_a_dead_letter_in_its_trace() {
    let demo = run(&["--poison", "--json"]);
    let json: Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!((demo.code, &json["passed"]), (Some(0), &Value::Bool(true)), "{}", demo.err);
    assert_eq!((&json["orders"], &json["orders_in_pieces"]), (&3.into(), &0.into()));
    let behind = |trace: &Value| {
        let mut edges = edges(trace);
        edges.retain(|edge| edge.contains("process pickups"));
        edges
    };
    let (booked, dead) =
        ("fulfilment consumer process pickups", "fulfilment consumer process pickups-dead");
    let below = |child: &str| format!("fulfilment producer send pickups > {child}");
    let of_poison = [
        format!("{dead} > fulfilment client POST"),
        format!("{dead} > fulfilment internal phone"),
        below(&format!("{booked} failed")),
        below(&format!("{booked} failed")),
        below(&format!("{booked} failed")),
        below(dead),
    ];
    let of_others = [
        format!("{booked} > fulfilment client POST"),
        format!("{booked} > fulfilment internal book"),
        below(booked),
    ];
    let (traces, _) = traces(&json);
    let mut shapes: Vec<_> = traces.into_iter().map(behind).collect();
    assert_eq!(shapes.remove(0), of_poison);
    assert_eq!(shapes, [of_others.to_vec(), of_others.to_vec()]);
}

#[test]
fn a_pickup_that_fails_each_time_among_many_breaks_nothing() {
    let args = ["--poison", "--fail-once", "--orders", "40", "--concurrency", "20", "--trees", "0"];
    let demo = run(&args);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(demo.closing(), &["PASS  40 orders in 40 traces", "0 orphans"]);
    // The one that failed comes again, and so does what ran behind it in its partition by then.
    let events = demo.closing().split("kafka ").nth(1).and_then(|rest| rest.split(',').next());
    let events: usize = events.and_then(|count| count.parse().ok()).expect("a count");
    assert!(events > 40, "nothing came again: {}", demo.closing());
}

/// The figures are those of the orders: they are the same each time.
#[test]
fn calls_that_fetch_and_settle_are_told_beside_the_orders() {
    let demo = run(&["--orders", "1"]);
    let closing = "PASS  1 order in 1 trace and 1 linked to them, 23 spans, 3 services, 0 orphans; \
                   crossed: http 4, grpc 2, kafka 1, sqs 1; beside them 2 calls that fetch or settle \
                   messages";
    assert_eq!(demo.closing(), closing);
    assert!(!demo.out.contains("receive pickups"), "{}", demo.out);
}

#[test]
fn programs_find_calls_that_fetch_and_settle_beside_the_orders() {
    let demo = run(&["--orders", "1", "--json"]);
    let json: Value = serde_json::from_str(&demo.out).expect("JSON");
    let summary = &json["verdict"]["summary"];
    assert_eq!((&summary["traces"], &summary["spans"]), (&2.into(), &23.into()));
    assert_eq!(json["housekeeping_traces"], 2);
    let mut calls: Vec<_> = json["traces"].as_array().expect("traces").iter().collect();
    calls.retain(|trace| trace["spans"][0]["kind"] == "client");
    let names = calls.iter().map(|trace| trace["spans"][0]["name"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), [Some("receive pickups"), Some("delete pickups")]);
}

#[test]
fn a_queue_that_puts_nothing_aside_is_told() {
    let (kafka, sqs) = (Kafka::start().expect("a broker"), Sqs::start().expect("an SQS"));
    kafka.create_topic("placed-orders", 1).expect("created");
    sqs.create_queue(PICKUPS, &[]).expect("created");
    let environment = [("OTEL_TRACES_EXPORTER", "none"), ("KAFKA_BROKERS", kafka.brokers())];
    let environment = environment.into_iter().chain(access(&sqs));
    let said = Service::start(&["fulfilment"], environment).stop().join("\n");
    assert_contains(&said, &["`pickups` has no redrive policy"]);
}

/// A call that fails is there to be seen, and breaks no trace.
#[test]
fn calls_that_fail_are_shown() {
    let sqs = Sqs::start().expect("an SQS");
    // The SDK tries three times.
    sqs.fail_next(Operation::DeleteMessageBatch, 3, Fault::ErrorBefore);
    let demo = demo().args(["--orders", "1"]).envs(access(&sqs)).output();
    let demo = said(demo.expect("the demo starts"));
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(&demo.out, &["\ndelete pickups  fulfilment  client"]);
    assert_contains(demo.closing(), &["PASS  1 order in 1 trace", ", 1 of which failed"]);
    assert_eq!(left(&sqs), [0, 0]);
}

#[test]
fn an_sqs_of_the_user_is_used() {
    let sqs = Sqs::start().expect("an SQS");
    // The second run finds what the first one has created.
    for _ in 0..2 {
        let demo = demo().arg("--poison").envs(access(&sqs)).output();
        let demo = said(demo.expect("the demo starts"));
        assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
        assert_contains(demo.closing(), &["PASS  3 orders in 3 traces", "sqs 6"]);
    }
    assert_eq!(sqs.requests(Operation::CreateQueue), 2);
    assert_eq!(sqs.requests(Operation::SendMessage), 6);
    assert_eq!(left(&sqs), [0, 0]);
}

/// How many messages are in either queue.
#[track_caller]
fn left(sqs: &Sqs) -> [usize; 2] {
    [PICKUPS, DEAD].map(|queue| sqs.messages(queue).expect("a queue").len())
}

#[test]
fn an_sqs_that_is_away_is_told_in_a_sentence() {
    let away = Sqs::start().expect("an SQS").endpoint().to_owned();
    let there = Sqs::start().expect("an SQS");
    let mut environment = access(&there);
    environment[0].1 = &away;
    let demo = demo().envs(environment).output();
    let demo = said(demo.expect("the demo starts"));
    assert_eq!((demo.code, demo.out.as_str()), (Some(1), ""));
    let sentence =
        format!("cannot find or create the queue `pickups-dead` at {away}, where SQS_ENDPOINT");
    assert_contains(&demo.err, &[&sentence, "Connection refused"]);
}

#[test]
fn what_is_wrong_with_the_variables_of_sqs_is_told_in_a_sentence() {
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "c")];
    for (endpoint, with_keys, sentence) in [
        (
            "https://sqs.eu-central-1.amazonaws.com",
            true,
            "SQS_ENDPOINT is https://sqs.eu-central-1.amazonaws.com, and this demo is built without TLS",
        ),
        ("localhost:9324", true, "SQS_ENDPOINT is localhost:9324, which is no address of an SQS"),
        (
            "http://me:hidden@127.0.0.1:9/?key=hidden",
            true,
            "SQS_ENDPOINT has a user or a query beside http://127.0.0.1:9;",
        ),
        (
            "http://127.0.0.1:9",
            false,
            "SQS_ENDPOINT is set without AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION:",
        ),
    ] {
        // Both, since services are started by hand, too.
        for command in ["demo", "fulfilment"] {
            let mut demo = demo();
            demo.arg(command).env("SQS_ENDPOINT", endpoint).env("OTEL_SDK_DISABLED", "true");
            demo.env("KAFKA_BROKERS", "127.0.0.1:1").envs(keys.into_iter().filter(|_| with_keys));
            let said = said(demo.output().expect("it starts"));
            assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{endpoint}");
            assert_contains(&said.err, &[sentence]);
            assert!(!said.err.contains("hidden"), "{}", said.err);
        }
    }
}

#[test]
fn a_service_that_knows_no_sqs_says_so() {
    let mut fulfilment = demo();
    fulfilment.args(["fulfilment"]).env("OTEL_SDK_DISABLED", "true");
    let fulfilment =
        said(fulfilment.env("KAFKA_BROKERS", "127.0.0.1:1").output().expect("it starts"));
    assert_eq!(fulfilment.code, Some(1), "{}", fulfilment.out);
    assert_contains(&fulfilment.err, &["fulfilment: no SQS is known; set SQS_ENDPOINT"]);
}

#[test]
fn an_sqs_that_goes_away_in_the_middle_is_told_in_a_sentence() {
    let sqs = Sqs::start().expect("an SQS");
    let mut demo = demo();
    demo.args(["--orders", "100000", "--trees", "0"]).envs(access(&sqs));
    let demo = demo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let demo = demo.expect("the demo starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqs.requests(Operation::SendMessage) < 5 {
        assert!(Instant::now() < deadline, "no message is sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(sqs);
    let demo = said(demo.wait_with_output().expect("the demo ends"));
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    let sentence = "fulfilment stopped in the middle of the run";
    assert_contains(&demo.err, &[sentence, "no pickup could be asked for", "Connection refused"]);
}
