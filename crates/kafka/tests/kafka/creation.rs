//! Contexts that the user put into a record before it is sent.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, TraceContextExt};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use throughline_core::{Config, End, Trust};
use throughline_kafka::{FutureProducer, Message};

use crate::common::{PATIENCE, Rig, soon};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CREATED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers() -> OwnedHeaders {
    OwnedHeaders::new()
        .insert(Header { key: "x-kept", value: Some("yes") })
        .insert(Header { key: "traceparent", value: Some(CREATED) })
}

fn record(rig: &Rig, headers: OwnedHeaders) -> FutureRecord<'_, str, str> {
    FutureRecord::to(rig.topic()).payload("a book").headers(headers)
}

/// Processes the next record, and tells its headers.
async fn process(rig: &Rig) -> Vec<(String, String)> {
    let consumer = rig.consumer();
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    let processed = delivery.process(async |message| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = message.headers().iter();
        let pairs = headers.map(|header| (text(header.key), text(header.value.unwrap_or(b"null"))));
        Ok::<_, String>(pairs.collect())
    });
    processed.await.expect("it succeeds")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_context_stays_and_is_linked_to() {
    let rig = Rig::new(1).await;
    let config = Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
    let producer = rig.producer();
    let (sent, relay) =
        config.root("relay").process(producer.send(record(&rig, headers()), PATIENCE)).await;
    sent.expect("the broker takes it");
    relay.end(End::Completed);
    let came = process(&rig).await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(came, [pair("x-kept", "yes"), pair("traceparent", CREATED)]);
    rig.assert_tree(
        "
        INTERNAL relay
          CLIENT send orders ~(elsewhere) {messaging.operation.type=send, kafka.offset=0}
        CONSUMER process orders
        ",
    );
    let spans = rig.recorder.spans();
    let process = spans.iter().find(|span| span.name.starts_with("process")).expect("it was");
    assert_eq!(process.trace_id.to_string(), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_created_before_is_sent_in_its_trace() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    let kept = OwnedHeaders::new().insert(Header { key: "x-kept", value: Some("yes") });
    let created = producer.create(rig.topic(), Some(kept));
    // It has one by now.
    let created = producer.create(rig.topic(), Some(created));
    producer.send(record(&rig, created), PATIENCE).await.expect("the broker takes it");
    assert_eq!(process(&rig).await.len(), 2);
    rig.assert_tree(
        "
        PRODUCER create orders {messaging.operation.name=create, messaging.operation.type=create}
          CLIENT send orders ~(create orders)
          CONSUMER process orders
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_came_with_is_no_creation_context_of_another() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    producer.send(record(&rig, headers()), PATIENCE).await.expect("the broker takes it");
    rig.recorder.clear();
    let onward = format!("{}.onward", rig.topic());
    rig.create_topic(&onward, 1).await;
    let consumer = rig.consumer();
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    let processed = delivery.process(async |message| {
        let record = FutureRecord::<str, str>::to(&onward).payload("on").headers(copied(message));
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)
    });
    processed.await.expect("the broker takes it");
    rig.assert_tree(
        "
        CONSUMER process orders
          PRODUCER send orders.onward
        ",
    );
}

fn copied(message: Message<'_>) -> OwnedHeaders {
    message.headers().iter().fold(OwnedHeaders::new(), |copied, header| {
        throughline_kafka::append_header(copied, header.key, header.value)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_what_the_records_of_a_batch_came_with_or_a_stranger_sent() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for _ in 0..2 {
        producer.send(record(&rig, headers()), PATIENCE).await.expect("the broker takes it");
    }
    rig.recorder.clear();
    let onward = format!("{}.onward", rig.topic());
    rig.create_topic(&onward, 1).await;
    let send = async |message: Message<'_>| {
        let record = FutureRecord::<str, str>::to(&onward).payload("on").headers(copied(message));
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)
    };
    let consumer = rig.consumer().trust(Trust::Ignore);
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    delivery.process(async |message| send(message).await).await.expect("the broker takes it");
    let batch = soon("a batch", consumer.recv_batch(1, PATIENCE)).await.expect("no error");
    let processed = batch.expect("open").process_batch(async |messages| send(messages[0]).await);
    processed.await.expect("the broker takes it");
    rig.assert_tree(
        "
        CONSUMER process orders
          PRODUCER send orders.onward
        CONSUMER process orders
          PRODUCER send orders.onward
        ",
    );
    let traces = rig.recorder.spans().into_iter().map(|span| span.trace_id.to_string());
    assert!(traces.into_iter().all(|trace| trace != TRACE), "the stranger is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_given_back_is_as_it_was() {
    let rig = Rig::embedded(1);
    rig.kafka().broker_down().expect("a broker that is away");
    let producer: FutureProducer =
        rig.client_config().set("queue.buffering.max.messages", "1").create().expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    let first = producer.send_result(record(&rig, OwnedHeaders::new())).expect("room for one");
    let kept = OwnedHeaders::new().insert(Header { key: "x-kept", value: Some("yes") });
    let (_, second) = producer.send_result(record(&rig, kept)).expect_err("no room for two");
    let (_, third) = producer.send_result(record(&rig, headers())).expect_err("no room for three");
    let names = |record: &FutureRecord<'_, str, str>| {
        let headers = record.headers.as_ref().expect("headers");
        let names = rdkafka::message::Headers::iter(headers);
        names.map(|header| header.key.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&second), names(&third)),
        (vec!["x-kept".to_owned()], vec!["x-kept".to_owned(), "traceparent".to_owned()],)
    );
    let (error, fourth) = producer
        .send(second, Duration::from_millis(1))
        .with_context(Context::new())
        .await
        .expect_err("still no room");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
    let left = rdkafka::Message::headers(&fourth).expect("headers");
    assert_eq!(rdkafka::message::Headers::count(left), 1);
    rig.kafka().broker_up().expect("a broker that is back");
    soon("the first answer", first).await.expect("a producer").expect("the broker took it");
    rig.assert_tree(
        "
        PRODUCER send orders
        PRODUCER send orders !error {error.type=QueueFull}
        CLIENT send orders !error ~(elsewhere) {error.type=QueueFull}
        PRODUCER send orders !error {error.type=QueueFull}
        ",
    );
    let nothing = Context::current().span().span_context().is_valid();
    assert!(!nothing, "what is current here is left alone");
}
