//! What is told of records on spans, and what is measured: of each, sampled or not.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{FutureExt as _, TraceContextExt};
use opentelemetry::{Context, trace::SpanContext, trace::TraceFlags, trace::TraceState};
use opentelemetry_sdk::trace::Sampler;
use rdkafka::consumer::CommitMode;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::FutureRecord;
use throughline_kafka::{FutureProducer, OnFailure, StreamConsumer};
use throughline_testing::{Measurements, Recorder};

use crate::common::{PATIENCE, Rig, soon};

const OPERATIONS: &str = "messaging.client.operation.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";
const PROCESSING: &str = "messaging.process.duration";

fn unsampled() -> Context {
    let sender = SpanContext::new(
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.into(),
        0xb7ad_6b71_6920_3331_u64.into(),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(sender)
}

struct Measured {
    rig: Rig,
    kept: Measurements,
    recorder: Recorder,
}

impl Measured {
    async fn new(recorder: Recorder) -> Self {
        Measured { rig: Rig::new(1).await, kept: Measurements::new(), recorder }
    }

    fn producer(&self) -> FutureProducer {
        let producer = self.rig.producer().with_tracer_provider(&self.recorder.provider());
        producer.with_meter_provider(&self.kept)
    }

    fn consumer(&self) -> StreamConsumer {
        let consumer = self.rig.consumer().with_tracer_provider(&self.recorder.provider());
        consumer.with_meter_provider(&self.kept)
    }

    /// What was measured, less what differs from one cluster to the next.
    fn of(&self, name: &str) -> Vec<String> {
        let brokers = self.rig.client_config().get("bootstrap.servers").expect("one").to_owned();
        let (address, port) = brokers.rsplit_once(':').expect("a port");
        let server = format!(" server.address={address} server.port={port}");
        let group = self.rig.consumer_config("fulfilment").get("group.id").expect("one").to_owned();
        let lines = self.kept.of(name).into_iter();
        lines
            .map(|line| {
                assert!(line.contains(&server), "{line} lacks{server}");
                let line = line.replace(&server, "").replace(self.rig.topic(), "orders");
                line.replace(&group, "fulfilment").replace("messaging.", "")
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_measured_sampled_or_not() {
    let dropped = Recorder::with_sampler(Sampler::AlwaysOff);
    let kinds = [
        ("sampled", Context::new(), Recorder::new(), 3),
        ("unsampled", unsampled(), Recorder::new(), 1),
        ("dropped", Context::new(), dropped, 0),
    ];
    for (kind, context, recorder, spans) in kinds {
        let measured = Measured::new(recorder).await;
        let producer = measured.producer();
        measured.rig.send(&producer, 0, "a").with_context(context).await;
        let consumer = measured.consumer();
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
        consumer.commit(CommitMode::Sync).expect("a commit");
        let topic = "destination.name=orders";
        let group = "consumer.group.name=fulfilment";
        assert_eq!(
            measured.of(OPERATIONS),
            [
                format!(
                    "{group} {topic} operation.name=commit operation.type=settle system.name=kafka: 1"
                ),
                format!("{topic} operation.name=send operation.type=send system.name=kafka: 1"),
            ],
            "{kind}"
        );
        let once = format!("{topic} operation.name=send operation.type=send system.name=kafka: 1");
        assert_eq!(measured.of(SENT), [once], "{kind}");
        let processed = format!("{group} {topic} operation.name=process system.name=kafka: 1");
        assert_eq!(measured.of(PROCESSING), [&*processed], "{kind}");
        assert_eq!(measured.of(CONSUMED), [&*processed], "{kind}");
        assert_eq!(measured.recorder.spans().len(), spans, "{kind}");
        measured.recorder.assert_all_ended();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_consumed_once_however_often_it_is_tried() {
    let measured = Measured::new(Recorder::new()).await;
    let producer = measured.producer();
    for _ in 0..3 {
        measured.rig.send(&producer, 0, "a").await;
    }
    let consumer = measured.consumer();
    let batch = soon("a batch", consumer.recv_batch(2, PATIENCE)).await.expect("no error");
    let processed = batch.expect("open").process_batch(async |_| Ok::<_, String>(()));
    processed.await.expect("it succeeds");
    let (closer, tries) = (consumer.closer(), AtomicU32::new(0));
    let run = consumer.runner().retry(2, Duration::from_millis(1)).on_failure(OnFailure::Skip).run(
        move |_| {
            if tries.fetch_add(1, SeqCst) == 1 {
                closer.close();
            }
            async { Err::<(), _>("no") }
        },
    );
    soon("the end of the runner", run).await.expect("it was closed");
    let all = "consumer.group.name=fulfilment destination.name=orders operation.name=process \
               system.name=kafka";
    let processed = [format!("{all}: 1"), format!("error.type=&str {all}: 2")];
    let mut told = measured.of(PROCESSING);
    told.sort();
    assert_eq!(told, processed, "a batch, and two tries");
    let consumed: u64 = measured
        .of(CONSUMED)
        .iter()
        .map(|line| line.rsplit_once(": ").expect("a count").1.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(consumed, 3, "two in a batch, and one that was tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_of_no_group_though_its_configuration_names_one() {
    let measured = Measured::new(Recorder::new()).await;
    let config = measured.rig.config();
    let producer: FutureProducer = config.create().expect("a producer");
    let producer = producer
        .with_tracer_provider(&measured.recorder.provider())
        .with_meter_provider(&measured.kept);
    measured.rig.send(&producer, 0, "a").await;
    let told = [measured.of(OPERATIONS), measured.of(SENT)].concat();
    assert!(told.len() == 2 && told.iter().all(|line| !line.contains("group")), "{told:?}");
    let spans = measured.recorder.spans();
    assert!(spans[0].attributes.get("messaging.consumer.group.name").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_in_the_queue_is_not_counted_as_sent() {
    let rig = Rig::embedded(1);
    let measured = Measured { rig, kept: Measurements::new(), recorder: Recorder::new() };
    let mut config = measured.rig.client_config();
    // None leaves before the end of the test.
    config.set("queue.buffering.max.messages", "1").set("linger.ms", "10000");
    let producer: FutureProducer = config.create().expect("a producer");
    let producer = producer.with_meter_provider(&measured.kept);
    let record = || FutureRecord::<str, str>::to(measured.rig.topic()).payload("a");
    let _first = producer.send_result(record()).map_err(|(error, _)| error).expect("room");
    producer.send(record(), Duration::ZERO).await.expect_err("no room");
    let refused = measured.of(OPERATIONS);
    assert!(refused.len() == 1 && refused[0].contains("error.type=QueueFull"), "{refused:?}");
    assert_eq!(measured.of(SENT), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_is_refused_is_measured_as_that() {
    let rig = Rig::embedded(1);
    let refuses = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    rig.kafka().topic_error(rig.topic(), refuses).expect("a broker that refuses");
    let measured = Measured { rig, kept: Measurements::new(), recorder: Recorder::new() };
    let producer = measured.producer();
    let record = FutureRecord::<str, str>::to(measured.rig.topic()).payload("a");
    producer.send(record, PATIENCE).await.expect_err("it is refused");
    let refused =
        "destination.name=orders operation.name=send operation.type=send system.name=kafka: 1";
    for name in [OPERATIONS, SENT] {
        let lines = measured.of(name);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains("error.type=TopicAuthorizationFailed"), "{line}");
        assert_eq!(line.replace("error.type=TopicAuthorizationFailed ", ""), refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_tell_where_a_record_is_from_and_how_long_it_waited() {
    let rig = Rig::new(1).await;
    let mut config = rig.client_config();
    config.set("client.id", "shop");
    let producer: FutureProducer = config.create().expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider()).capture_keys(true);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let sent = i64::try_from(now).expect("soon") - 5_000;
    for timestamp in [sent, sent + 3_600_000] {
        let record = FutureRecord::<_, str>::to(rig.topic()).key("42").timestamp(timestamp);
        producer.send(record, PATIENCE).await.expect("the broker takes it");
    }
    let consumer = rig.consumer().capture_keys(true);
    for _ in 0..2 {
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    consumer.commit(CommitMode::Sync).expect("a commit");
    let brokers = config.get("bootstrap.servers").expect("one").to_owned();
    let (address, port) = brokers.rsplit_once(':').expect("a port");
    let server = format!("server.address={address}, server.port={port}");
    let group = rig.consumer_config("fulfilment").get("group.id").expect("one").to_owned();
    let group = format!("messaging.consumer.group.name={group}");
    let record = "kafka.message.key=42, kafka.message.tombstone=true";
    rig.assert_tree(&format!(
        "
        PRODUCER send orders {{kafka.offset=0, {record}, messaging.client.id=shop, {server}}}
          CONSUMER process orders {{kafka.offset=0, {record}, {group}, {server}}}
        PRODUCER send orders {{kafka.offset=1, {record}}}
          CONSUMER process orders {{throughline.message.age=*, {group}, {server}}}
        CLIENT commit orders {{messaging.operation.name=commit, messaging.operation.type=settle, \
         messaging.system.name=kafka, messaging.destination.name=orders, {group}, {server}}}
        "
    ));
    let ages = rig.recorder.spans();
    let mut ages: Vec<_> =
        ages.iter().filter_map(|span| span.attributes.get_int("throughline.message.age")).collect();
    ages.sort_unstable();
    assert_eq!(ages[0], 0, "the sender's clock is an hour ahead");
    assert!((5_000..65_000).contains(&ages[1]), "{ages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_not_told_unless_they_may_be() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let consumer = rig.consumer();
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    for span in rig.recorder.spans() {
        assert!(span.attributes.get("kafka.message.key").is_none(), "{}", span.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_told_by_their_older_names_as_well_where_that_is_wanted() {
    const OPT_IN: &str = throughline_core::stability::OPT_IN;
    const NAME: &str =
        "metrics::records_are_told_by_their_older_names_as_well_where_that_is_wanted";
    if std::env::var(OPT_IN).is_err() {
        let child = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", NAME])
            .env(OPT_IN, "http, messaging/dup")
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let measured = Measured::new(Recorder::new()).await;
    let producer = measured.producer().capture_keys(true);
    let record = FutureRecord::<_, str>::to(measured.rig.topic()).key("42");
    producer.send(record, PATIENCE).await.expect("the broker takes it");
    let consumer = measured.consumer().capture_keys(true);
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    let spans = measured.recorder.spans();
    assert_eq!(spans.len(), 2);
    for span in spans {
        let of = |key: &str| span.attributes.get(key).cloned();
        for (now, then) in [
            ("messaging.system.name", "messaging.system"),
            ("kafka.offset", "messaging.kafka.offset"),
            ("kafka.message.key", "messaging.kafka.message.key"),
            ("kafka.message.tombstone", "messaging.kafka.message.tombstone"),
        ] {
            assert!(of(now).is_some() && of(now) == of(then), "{then} of {}", span.name);
        }
    }
    assert!(measured.of(SENT)[0].contains(" system=kafka"), "{:?}", measured.of(SENT));
}
