//! What is acknowledged, whoever receives, goes back, or has offsets of his own.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::FutureRecord;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use throughline_kafka::offsets_of::Theirs;
use throughline_kafka::{Delivery, Error, Hooks, StreamConsumer, TopicPartition};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::common::{PATIENCE, Rig, soon, text};

async fn next<H: Hooks, O>(consumer: &StreamConsumer<H, O>) -> Delivery<'_> {
    soon("a record", consumer.recv()).await.expect("no error").expect("nobody closed it")
}

async fn succeed(delivery: Delivery<'_>) {
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
}

async fn fail(delivery: Delivery<'_>) {
    delivery.process(async |_| Err::<(), _>("as the test wants it")).await.expect_err("it fails");
}

fn partition(rig: &Rig, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(rig.topic(), 0, offset).expect("an offset");
    list
}

/// The offset that is committed, of one partition.
fn committed<H: Hooks>(consumer: &StreamConsumer<H>) -> Option<i64> {
    consumer.commit(CommitMode::Sync).expect("a commit");
    consumer.committed(PATIENCE).expect("an answer")[0].offset
}

/// A consumer without a group's say.
fn assigned(rig: &Rig) -> StreamConsumer {
    let mut config = rig.config();
    config.set("group.protocol", "classic").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create().expect("a consumer");
    consumer.assign(&partition(rig, Offset::Beginning)).expect("assigned");
    consumer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn several_receivers_acknowledge_nothing_behind_a_failure() {
    const PARTITIONS: i32 = 20;
    const EACH: usize = 20;
    const RECEIVERS: usize = 6;
    for _ in 0..3 {
        let rig = Rig::new(usize::try_from(PARTITIONS).expect("a few")).await;
        let producer = rig.producer();
        let mut sends = Vec::new();
        for partition in 0..PARTITIONS {
            for _ in 0..EACH {
                let record =
                    FutureRecord::<(), _>::to(rig.topic()).partition(partition).payload("x");
                sends.push(producer.send_result(record).map_err(|(error, _)| error).expect("room"));
            }
        }
        for sent in sends {
            soon("an answer", sent).await.expect("an answer").expect("the broker took it");
        }
        let mut config = rig.config();
        config.set("enable.auto.commit", "false");
        let consumer = Arc::new(rig.consumer_of(&config));
        // Whoever finds nothing any more waits for the others to find nothing either.
        let (mut receivers, done) = (JoinSet::new(), Arc::new(Barrier::new(RECEIVERS)));
        for _ in 0..RECEIVERS {
            let (consumer, done) = (Arc::clone(&consumer), Arc::clone(&done));
            receivers.spawn(async move {
                let patience = Duration::from_secs(2);
                while let Ok(received) = tokio::time::timeout(patience, consumer.recv()).await {
                    match received {
                        Ok(Some(delivery)) if delivery.offset() % 2 == 1 => fail(delivery).await,
                        Ok(Some(delivery)) => succeed(delivery).await,
                        Ok(None) | Err(Error::Failed(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                done.wait().await;
            });
        }
        soon("the receivers", receivers.join_all()).await;
        consumer.commit(CommitMode::Sync).expect("a commit");
        let committed = consumer.committed(PATIENCE).expect("an answer");
        let wrong: Vec<_> = committed.iter().filter(|place| place.offset != Some(1)).collect();
        assert!(wrong.is_empty(), "each first record succeeded, each second failed: {wrong:?}");
        assert!(consumer.counts().failed >= 20, "{:?}", consumer.counts());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_forgets_nothing_that_lies_before() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "c"] {
        rig.send(&producer, 0, payload).await;
    }
    let mut config = rig.config();
    config.set("enable.auto.commit", "false");
    let consumer = rig.consumer_of(&config);
    let slow = next(&consumer).await.into_owned();
    fail(next(&consumer).await).await;
    let told = soon("the failure", consumer.recv()).await;
    assert!(matches!(told, Err(Error::Failed(failed)) if failed.offset() == 1));
    // The way to try again that the docs tell.
    consumer.resume(&partition(&rig, Offset::Invalid)).expect("resumed");
    let again = next(&consumer).await;
    assert_eq!(again.offset(), 1);
    succeed(again).await;
    assert_eq!(committed(&consumer), None, "the first one isn't finished");
    slow.process(|_| async { Err::<(), _>("late") }).await.expect_err("it fails");
    assert_eq!(committed(&consumer), None, "the first one has failed");
    assert_eq!(consumer.counts().failed, 2);
    let told = soon("the failure", consumer.recv()).await;
    assert!(matches!(told, Err(Error::Failed(failed)) if failed.offset() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_beyond_a_failure_leaves_it_behind() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["bad", "good"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = assigned(&rig);
    fail(next(&consumer).await).await;
    soon("the failure", consumer.recv()).await.expect_err("it is told");
    consumer.seek(rig.topic(), 0, Offset::Offset(1), PATIENCE).expect("a seek");
    consumer.resume(&partition(&rig, Offset::Invalid)).expect("resumed");
    succeed(next(&consumer).await).await;
    assert_eq!(committed(&consumer), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_from_the_end_acknowledges_nothing_that_comes_again() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["bad", "running", "next"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = assigned(&rig);
    let (bad, running) = (next(&consumer).await, next(&consumer).await.into_owned());
    fail(bad).await;
    soon("the failure", consumer.recv()).await.expect_err("it is told");
    consumer.seek(rig.topic(), 0, Offset::OffsetTail(3), PATIENCE).expect("a seek");
    running.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    assert_eq!(committed(&consumer), None, "the first one comes again, and hasn't yet");
    consumer.resume(&partition(&rig, Offset::Invalid)).expect("resumed");
    for offset in 0..3 {
        let delivery = next(&consumer).await;
        assert_eq!(delivery.offset(), offset);
        succeed(delivery).await;
    }
    assert_eq!(committed(&consumer), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_hold_before_a_failure_is_theirs_to_process() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "bad"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = assigned(&rig);
    let batch = soon("a batch", consumer.recv_batch(2, PATIENCE)).await.expect("no error");
    fail(next(&consumer).await).await;
    let processed = batch.expect("open").process_batch(async |_| Ok::<_, String>(()));
    processed.await.expect("it succeeds");
    assert_eq!(committed(&consumer), Some(2));
    soon("the failure", consumer.recv()).await.expect_err("it is told");
    consumer.resume(&partition(&rig, Offset::Invalid)).expect("resumed");
    let again = next(&consumer).await;
    assert_eq!(again.offset(), 2);
    succeed(again).await;
    assert_eq!(committed(&consumer), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_has_stored_is_committed_by_nobody_else() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let mut config = rig.config();
    config.set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create().expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    let consumer = consumer.offsets(Theirs);
    succeed(next(&consumer).await).await;
    consumer.store_offset(rig.topic(), 0, 0).expect("stored");
    // Its database rolls back, and it goes.
    soon("closing", consumer.close()).await.expect("nothing is committed");
    let again = rig.consumer();
    assert_eq!(next(&again).await.offset(), 0, "it comes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_assigned_again_begins_anew() {
    for is_told in [true, false] {
        let rig = Rig::new(1).await;
        rig.send(&rig.producer(), 0, "a").await;
        let consumer = assigned(&rig);
        fail(next(&consumer).await).await;
        if is_told {
            soon("the failure", consumer.recv()).await.expect_err("it is told");
        }
        consumer.assign(&partition(&rig, Offset::Beginning)).expect("assigned again");
        let again = next(&consumer).await;
        assert_eq!(again.offset(), 0);
        succeed(again).await;
        assert_eq!(committed(&consumer), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_by_itself_is_told() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let mut config = rig.config();
    config.set("auto.offset.reset", "error");
    let consumer = rig.consumer_of(&config);
    let error = soon("an error", consumer.recv()).await.expect_err("there is no offset");
    assert!(matches!(&error, Error::Kafka(_)), "{error}");
}

/// A service that keeps its offsets itself: it has processed all before this one.
#[derive(Clone, Copy)]
struct Keeps(i64);

impl ClientContext for Keeps {}

impl Hooks for Keeps {
    fn start_at(&self, _: &TopicPartition) -> Option<i64> {
        Some(self.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_offsets_of_its_own_begins_and_commits_where_it_says() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "c"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer: StreamConsumer<Keeps> =
        rig.config().create_with_context(Keeps(1)).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    let consumer = consumer.offsets(Theirs);
    let delivery = next(&consumer).await;
    assert_eq!(delivery.offset(), 1, "where it said");
    fail(delivery).await;
    // One that fails stops nothing: that is the service's affair.
    let delivery = next(&consumer).await;
    let seen = delivery.process(async |message| Ok::<_, String>(text(message.payload()))).await;
    assert_eq!(seen.as_deref(), Ok("c"));
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(rig.topic(), 0);
    element.set_offset(Offset::Offset(2)).expect("an offset");
    element.set_metadata("mine");
    consumer.commit(&list, CommitMode::Sync).expect("a commit");
    soon("closing", consumer.close()).await.expect("nothing is left to commit");

    let raw: rdkafka::consumer::BaseConsumer = rig.config().create().expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(rig.topic(), 0);
    let committed = raw.committed_offsets(asked, PATIENCE).expect("an answer");
    let elements = committed.elements();
    assert_eq!((elements[0].offset(), elements[0].metadata()), (Offset::Offset(2), "mine"));
}
