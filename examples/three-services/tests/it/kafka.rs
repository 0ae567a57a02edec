//! The leg over Kafka: an event that fails, and brokers of the user's.
#![expect(clippy::disallowed_methods, reason = "what the broker has, as it is")]

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::Value;
use throughline_testing::embedded::Kafka;

use crate::harness::{assert_contains, demo, edges, run, said, traces};

const TOPIC: &str = "placed-orders";
const PARTITIONS: usize = 3;

#[test]
fn an_event_that_fails_comes_again_in_its_trace() {
    let demo = run(&["--fail-once", "--json"]);
    let json: Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!((demo.code, &json["passed"]), (Some(0), &Value::Bool(true)), "{}", demo.err);
    assert_eq!(json["orders"], 3);
    let processings = |trace: &Value| {
        let mut edges = edges(trace);
        edges.retain(|edge| edge.contains("process placed-orders"));
        edges
    };
    let below = |parent: &str| format!("orders producer send placed-orders > {parent}");
    let processing = "fulfilment consumer process placed-orders";
    let work = ["client POST", "internal schedule", "producer send pickups"]
        .map(|it| format!("{processing} > fulfilment {it}"));

    // The first one does nothing but fail; the second one has the same parent.
    let (traces, _) = traces(&json);
    let failed = below(&format!("{processing} failed"));
    let mut wanted = work.to_vec();
    wanted.extend([below(processing), failed]);
    assert_eq!(processings(traces[0]), wanted);
    wanted.pop();
    for trace in &traces[1..] {
        assert_eq!(processings(trace), wanted);
    }
}

/// Whatever came behind the one that fails comes again, too; nothing is lost, and no trace breaks.
#[test]
fn an_event_that_fails_among_many_breaks_nothing() {
    let demo = run(&["--fail-once", "--orders", "40", "--concurrency", "20", "--trees", "0"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(demo.closing(), &["PASS  40 orders in 40 traces", "0 orphans"]);
}

#[test]
fn brokers_of_the_user_are_used() {
    let kafka = Kafka::start().expect("a broker");
    kafka.create_topic(TOPIC, PARTITIONS).expect("created");
    for _ in 0..2 {
        let demo = demo().env("KAFKA_BROKERS", kafka.brokers()).output();
        let demo = said(demo.expect("the demo starts"));
        assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
        assert_contains(demo.closing(), &["PASS  3 orders in 3 traces", "kafka 3"]);
    }

    // The events are there, each with its trace, and are acknowledged: none came twice.
    let mut topic = TopicPartitionList::new();
    topic.add_partition_range(TOPIC, 0, 2);
    let group: BaseConsumer = kafka.consumer_config("fulfilment").create().expect("a client");
    let acknowledged = group.committed_offsets(topic.clone(), Duration::from_secs(5));
    let acknowledged = acknowledged.expect("the broker answers").elements().into_iter().fold(
        0,
        |sum, partition| match partition.offset() {
            Offset::Offset(offset) => sum + offset,
            _ => sum,
        },
    );
    assert_eq!(acknowledged, 6);

    topic.set_all_offsets(Offset::Beginning).expect("set");
    let reader: BaseConsumer = kafka.consumer_config("reader").create().expect("a client");
    reader.assign(&topic).expect("assigned");
    for _ in 0..6 {
        let event = reader.poll(Duration::from_secs(5)).expect("an event").expect("readable");
        assert!(has_trace(&event), "{event:?}");
    }
}

fn has_trace(event: &BorrowedMessage<'_>) -> bool {
    event.headers().is_some_and(|headers| headers.iter().any(|it| it.key == "traceparent"))
}

#[test]
fn brokers_that_are_away_are_told_in_a_sentence() {
    let demo = demo().env("KAFKA_BROKERS", "127.0.0.1:1").output();
    let demo = said(demo.expect("the demo starts"));
    assert_eq!((demo.code, demo.out.as_str()), (Some(1), ""));
    assert_contains(
        &demo.err,
        &["cannot find or create the topic `placed-orders` at 127.0.0.1:1", "KAFKA_BROKERS"],
    );
}

#[test]
fn a_service_that_knows_no_brokers_says_so() {
    let fulfilment = demo().args(["fulfilment"]).env("OTEL_SDK_DISABLED", "true").output();
    let fulfilment = said(fulfilment.expect("it starts"));
    assert_eq!(fulfilment.code, Some(1), "{}", fulfilment.out);
    assert_contains(&fulfilment.err, &["fulfilment: no Kafka is known; set KAFKA_BROKERS"]);
}
