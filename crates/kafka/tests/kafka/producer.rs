//! The span of a send ends by the broker's answer.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::FutureRecord;
use throughline_kafka::FutureProducer;

use crate::common::{PATIENCE, Rig, soon};

fn record(rig: &Rig) -> FutureRecord<'_, str, str> {
    FutureRecord::to(rig.topic()).payload("a book")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_nobody_waits_for_ends_by_the_answer() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    drop(producer.send_result(record(&rig)).expect("room in the queue"));
    producer.flush(PATIENCE).expect("the broker answers");
    soon("the end of the span", rig.recorder.wait_for(1, PATIENCE)).await.expect("a span");
    rig.assert_tree(
        "PRODUCER send orders {messaging.system.name=kafka, messaging.operation.name=send, \
         messaging.operation.type=send, messaging.destination.name=orders, \
         messaging.destination.partition.id=0, kafka.offset=0}",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_answered_though_only_errors_were_to_be_reported() {
    let rig = Rig::new(1).await;
    let mut config = rig.client_config();
    config.set("delivery.report.only.error", "true");
    let producer: FutureProducer = config.create().expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    soon("an answer", producer.send(record(&rig), PATIENCE)).await.expect("the broker takes it");
    rig.assert_tree("PRODUCER send orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_is_refused_is_an_error_and_gives_the_record_back() {
    let rig = Rig::embedded(1);
    let refuses = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    rig.kafka().topic_error(rig.topic(), refuses).expect("a broker that refuses");
    let producer = rig.producer();
    let (error, message) = producer.send(record(&rig), PATIENCE).await.expect_err("it is refused");
    assert_eq!(error.rdkafka_error_code(), refuses);
    assert_eq!(rdkafka::Message::payload(&message), Some(&b"a book"[..]));
    rig.assert_tree("PRODUCER send orders !error {error.type=TopicAuthorizationFailed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_is_waited_for_and_no_longer_than_told() {
    let rig = Rig::embedded(1);
    rig.kafka().broker_down().expect("a broker that is away");
    let producer: FutureProducer =
        rig.client_config().set("queue.buffering.max.messages", "1").create().expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    let first = producer.send_result(record(&rig)).expect("room for one");
    let (error, _) = producer.send_result(record(&rig)).expect_err("no room for two");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
    let (error, _) =
        producer.send(record(&rig), Duration::from_millis(1)).await.expect_err("still no room");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));

    let third = tokio::spawn({
        let (producer, topic) = (producer.clone(), rig.topic().to_owned());
        async move {
            let record = FutureRecord::<str, str>::to(&topic).payload("a book");
            producer.send(record, PATIENCE).await.map_err(|(error, _)| error)
        }
    });
    rig.kafka().broker_up().expect("a broker that is back");
    soon("the first answer", first).await.expect("a producer").expect("the broker took it");
    soon("the third answer", third).await.expect("no panic").expect("the broker took it");
    rig.recorder.assert_all_ended();
    let ends = rig.recorder.spans();
    let refused =
        ends.iter().filter(|span| span.attributes.get_str("error.type") == Some("QueueFull"));
    assert_eq!((refused.count(), ends.len()), (2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_when_the_producer_goes_is_no_open_span() {
    let rig = Rig::embedded(1);
    rig.kafka().broker_down().expect("a broker that is away");
    let producer = rig.producer();
    let waiting = producer.send_result(record(&rig)).expect("room in the queue");
    tokio::task::spawn_blocking(move || drop(producer)).await.expect("no panic");
    let (error, _) =
        soon("an answer", waiting).await.expect("an answer").expect_err("it is purged");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PurgeQueue));
    rig.assert_tree("PRODUCER send orders !error {error.type=PurgeQueue}");
}
