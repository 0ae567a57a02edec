//! Producers that call back: the user's own opaques, callbacks and partitioners.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, FutureRecord, NoCustomPartitioner, Partitioner, ProducerContext,
};
use rdkafka::{ClientContext, Offset};
use throughline_kafka::{BaseProducer, FutureProducer, ThreadedProducer};
use tokio::sync::mpsc;

use crate::common::{PATIENCE, Rig, soon};

/// An opaque of the user's own, and what its callback saw: the partition, or the error, and whether
/// the record's trace was current.
type Seen = (usize, Result<i32, Option<RDKafkaErrorCode>>, bool);

struct Told {
    seen: mpsc::UnboundedSender<Seen>,
    partitioner: Option<Fixed>,
}

impl ClientContext for Told {}

/// Chooses the last partition; for a key that is `panics` it does.
struct Fixed;

impl Partitioner for Fixed {
    fn partition(&self, _: &str, key: Option<&[u8]>, count: i32, _: impl Fn(i32) -> bool) -> i32 {
        if key == Some(b"panics") {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
        count - 1
    }
}

impl ProducerContext<Fixed> for Told {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Box<usize>) {
        let result = match result {
            Ok(message) => Ok(message.partition()),
            Err((error, _)) => Err(error.rdkafka_error_code()),
        };
        let is_traced = Context::current().span().span_context().is_sampled();
        self.seen.send((*opaque, result, is_traced)).expect("somebody listens");
        if *opaque == 13 {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
    }

    fn get_custom_partitioner(&self) -> Option<&Fixed> {
        self.partitioner.as_ref()
    }
}

fn told(partitioner: Option<Fixed>) -> (Told, mpsc::UnboundedReceiver<Seen>) {
    let (seen, sees) = mpsc::unbounded_channel();
    (Told { seen, partitioner }, sees)
}

fn record(rig: &Rig, number: usize) -> BaseRecord<'_, str, str, Box<usize>> {
    BaseRecord::with_opaque_to(rig.topic(), Box::new(number)).payload("a book")
}

#[tokio::test(flavor = "multi_thread")]
async fn opaques_come_back_and_a_callback_that_panics_harms_nobody() {
    let rig = Rig::new(2).await;
    let (context, mut seen) = told(Some(Fixed));
    let producer: ThreadedProducer<Told, Fixed> =
        rig.client_config().create_with_context(context).expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    for number in [13, 14] {
        let producer = producer.clone();
        producer.send(record(&rig, number).key("k")).map_err(|(error, _)| error).expect("room");
        let answer = soon("an answer", seen.recv()).await.expect("the producer lives");
        assert_eq!(answer, (number, Ok(1), true), "chosen by the user's own partitioner");
    }
    rig.assert_tree(
        "
        PRODUCER send orders {messaging.destination.partition.id=1}
        PRODUCER send orders {messaging.destination.partition.id=1}
        ",
    );
    // A record goes on in the trace of its send.
    let consumer = rig.consumer();
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    let sends = rig.recorder.spans();
    let parent = delivery.parent().expect("a parent").span_id().to_string();
    assert!(sends.iter().any(|send| send.span_id.to_string() == parent));
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioner_that_panics_fails_its_record_alone() {
    let rig = Rig::new(2).await;
    let (context, mut seen) = told(Some(Fixed));
    let producer: ThreadedProducer<Told, Fixed> =
        rig.client_config().create_with_context(context).expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    for (number, key) in [(1, "panics"), (2, "fine")] {
        let sent = producer.send(record(&rig, number).key(key));
        if let Err((_, record)) = sent {
            assert_eq!((*record.delivery_opaque, number), (1, 1), "only that one is refused");
            continue;
        }
        let answer = soon("an answer", seen.recv()).await.expect("the producer lives");
        assert_eq!((answer.0, answer.1.is_ok()), (number, number == 2));
    }
    let spans = rig.recorder.spans();
    let failed = spans.iter().filter(|span| span.attributes.get("error.type").is_some());
    assert_eq!((failed.count(), spans.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_polled_gives_back_what_has_no_room() {
    let rig = Rig::embedded(2);
    rig.kafka().broker_down().expect("a broker that is away");
    let (context, mut seen) = told(None);
    let mut config = rig.client_config();
    config.set("queue.buffering.max.messages", "1");
    let producer: BaseProducer<Told, Fixed> =
        config.create_with_context(context).expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    producer.send(record(&rig, 1)).map_err(|(error, _)| error).expect("room for one");
    let (error, mut given_back) = producer.send(record(&rig, 2)).expect_err("no room for two");
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
    assert_eq!(*given_back.delivery_opaque, 2);
    rig.kafka().broker_up().expect("a broker that is back");
    // As with rdkafka's own: poll, and send it again.
    loop {
        producer.poll(Duration::from_millis(10));
        match producer.send(given_back) {
            Ok(()) => break,
            Err((_, again)) => given_back = again,
        }
    }
    producer.flush(PATIENCE).expect("the broker answers");
    assert_eq!(producer.in_flight_count(), 0);
    let mut answers = [seen.try_recv().expect("called"), seen.try_recv().expect("called")];
    answers.sort_by_key(|(number, ..)| *number);
    assert!(matches!(answers, [(1, Ok(_), true), (2, Ok(_), true)]), "{answers:?}");
    let spans = rig.recorder.spans();
    let sent = spans.iter().filter(|span| span.attributes.get("error.type").is_none());
    assert_eq!(sent.count(), 2);
    assert!(spans.iter().all(|span| span.links.is_empty()), "no try is the creation of the next");
    rig.recorder.assert_all_ended();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_the_librarys_own() {
    let rig = Rig::new(1).await;
    let mut config = rig.client_config();
    config.set("transactional.id", rig.topic());
    let producer: FutureProducer = config.create().expect("a producer");
    let producer = producer.with_tracer_provider(&rig.recorder.provider());
    let (topic, offsets) = (rig.topic().to_owned(), Arc::new(Mutex::new(Vec::new())));
    let consumer = rig.consumer_of(rig.config().set("isolation.level", "read_committed"));
    let blocking = tokio::task::spawn_blocking({
        let producer = producer.clone();
        move || producer.init_transactions(PATIENCE)
    });
    soon("transactions", blocking).await.expect("no panic").expect("prepared");
    for payload in ["kept", "given up"] {
        producer.begin_transaction().expect("begun");
        let record = FutureRecord::<str, str>::to(&topic).payload(payload);
        let sent = producer.send(record, PATIENCE).await.expect("the broker takes it");
        offsets.lock().expect("a lock").push(sent.offset);
        let ending = tokio::task::spawn_blocking({
            let (producer, group) = (producer.clone(), consumer.group_metadata());
            let mut places = rdkafka::TopicPartitionList::new();
            places.add_partition_offset(&topic, 0, Offset::Offset(7)).expect("an offset");
            move || match payload {
                "kept" => {
                    let group = group.expect("a member of a group");
                    producer.send_offsets_to_transaction(&places, &group, PATIENCE)?;
                    producer.commit_transaction(PATIENCE)
                }
                _ => producer.abort_transaction(PATIENCE),
            }
        });
        soon("the end of a transaction", ending).await.expect("no panic").expect("ended");
    }
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    let payload =
        delivery.process(async |message| Ok::<_, String>(crate::common::text(message.payload())));
    assert_eq!(payload.await.as_deref(), Ok("kept"));
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders
        PRODUCER send orders
        ",
    );
}

/// A context without a partitioner fits as it does `rdkafka`'s own producers.
#[derive(Clone)]
struct Quiet;

impl ClientContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_needs_neither_opaque_nor_partitioner() {
    let rig = Rig::new(1).await;
    let config = rig.client_config();
    let threaded: ThreadedProducer = config.create().expect("a producer");
    let base: BaseProducer<Quiet, NoCustomPartitioner> =
        config.create_with_context(Quiet).expect("a producer");
    let (threaded, base) = (
        threaded.with_tracer_provider(&rig.recorder.provider()),
        base.with_tracer_provider(&rig.recorder.provider()),
    );
    let record = || BaseRecord::<str, str>::to(rig.topic()).key("k");
    threaded.send(record()).map_err(|(error, _)| error).expect("room");
    threaded.flush(PATIENCE).expect("the broker answers");
    base.send(record()).map_err(|(error, _)| error).expect("room");
    base.flush(PATIENCE).expect("the broker answers");
    soon("two spans", rig.recorder.wait_for(2, PATIENCE)).await.expect("they end");
    rig.assert_tree(
        "
        PRODUCER send orders {kafka.message.tombstone=true}
        PRODUCER send orders {kafka.message.tombstone=true}
        ",
    );
    assert!(base.client().context().inner().clone().get_custom_partitioner().is_none());
}
