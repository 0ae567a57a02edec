//! Records that nobody of ours has written.
#![expect(clippy::disallowed_methods, reason = "records as strangers send them")]

use std::time::Duration;

use opentelemetry::trace::TraceId;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use throughline_kafka::append_header;

use crate::common::{PATIENCE, Rig, soon};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn named(key: &str, value: &str) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key, value: Some(value) })
}

/// What is sent, and whether its trace goes on.
fn records() -> Vec<(&'static str, OwnedHeaders, bool)> {
    let bytes = append_header(named("traceparent", CALLER), b"\xff\xfe\x80", Some(b"\xff"));
    let bytes = append_header(bytes, b"", None);
    let many = (0..10_000).fold(OwnedHeaders::new(), |headers, number| {
        headers.insert(Header { key: &format!("x-{number}"), value: Some("v") })
    });
    let many = many.insert(Header { key: "traceparent", value: Some(CALLER) });
    let null = OwnedHeaders::new()
        .insert(Header { key: "traceparent", value: None::<&str> })
        .insert(Header { key: "baggage", value: None::<&str> });
    let doubled =
        named("traceparent", OTHER).insert(Header { key: "traceparent", value: Some(CALLER) });
    let large = "x".repeat(1024 * 1024);
    vec![
        ("names that are no text", bytes, true),
        ("10,000 headers", many, true),
        ("headers without a value", null, false),
        ("a doubled traceparent, the last of which holds", doubled, true),
        ("a traceparent of 1 MiB", named("traceparent", &large), false),
        (
            "a traceparent that is no text",
            append_header(OwnedHeaders::new(), "traceparent", Some(b"\xff\x00")),
            false,
        ),
        (
            "baggage of 1 MiB",
            named("baggage", &large).insert(Header { key: "traceparent", value: Some(CALLER) }),
            true,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_records_are_delivered_and_their_trace_restarts_where_it_must() {
    let rig = Rig::new(1).await;
    let raw: FutureProducer =
        rig.client_config().set("message.max.bytes", "4000000").create().expect("a raw producer");
    let (records, consumer) = (records(), rig.consumer());
    for (what, headers, goes_on) in records {
        let count = rdkafka::message::Headers::count(&headers);
        let record = FutureRecord::<(), str>::to(rig.topic()).payload(what).headers(headers);
        raw.send(record, PATIENCE).await.unwrap_or_else(|(error, _)| panic!("{what}: {error}"));

        let delivery = soon(what, consumer.recv()).await.expect(what).expect(what);
        let parent = delivery.parent();
        let seen = delivery.process(async |message| {
            assert_eq!(message.payload(), Some(what.as_bytes()));
            let own = throughline_core::boundary().span_context().map(|span| span.trace_id());
            Ok::<_, String>((message.headers().len(), own))
        });
        let (seen, own) = seen.await.expect(what);
        assert_eq!(seen, count, "{what}");
        let trace = TraceId::from_hex(TRACE).expect("a trace id");
        assert_eq!(own == Some(trace), goes_on, "{what}");
        assert_eq!(parent.is_some(), goes_on, "{what}");
    }
    rig.recorder.assert_all_ended();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_is_told_once_however_often_the_record_is_tried() {
    let rig = Rig::new(1).await;
    let raw: FutureProducer = rig.client_config().create().expect("a raw producer");
    let record = FutureRecord::<(), str>::to(rig.topic()).payload("by hand");
    raw.send(record, PATIENCE).await.expect("sent");
    let runner = rig.consumer().expect_parent(true).runner();
    let run = runner.retry(3, Duration::from_millis(1)).run(|_| async { Err::<(), _>("no") });
    soon("the end of the runner", run).await.expect_err("it has failed");
    let spans = rig.recorder.spans();
    let mark = "throughline.parent.expected";
    let marked = spans.iter().filter(|span| span.attributes.get(mark).is_some()).count();
    assert_eq!((spans.len(), marked), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_a_trace_is_a_break_where_one_is_expected() {
    let rig = Rig::new(1).await;
    let raw: FutureProducer = rig.client_config().create().expect("a raw producer");
    for (excuses, marked) in [(false, true), (true, false)] {
        rig.recorder.clear();
        let topic = rig.topic().to_owned();
        let group = if excuses { "excusing" } else { "expecting" };
        let consumer = rig.consumer_of(&rig.consumer_config(group));
        let consumer = consumer.expect_parent(true);
        let consumer = match excuses {
            true => consumer.expect_no_parent_of(move |of| of == topic),
            false => consumer,
        };
        let record = FutureRecord::<(), str>::to(rig.topic()).payload("by hand");
        raw.send(record, PATIENCE).await.expect("sent");
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        delivery.process(async |_| Ok::<_, std::io::Error>(())).await.expect("no error");
        let spans = rig.recorder.spans();
        let said = format!("{:?}", spans[0].attributes);
        assert_eq!(said.contains("throughline.parent.expected"), marked, "{said}");
    }
}
