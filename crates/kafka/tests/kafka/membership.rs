//! A consumer stays in its group, and closes when it is told to.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use throughline_kafka::{DeadLetter, Hooks, OnFailure, Rebalance, StreamConsumer, TopicPartition};
use throughline_testing::embedded::KafkaRequest;
use tokio::sync::{mpsc, oneshot, watch};

use crate::common::{PATIENCE, Rig, soon, text};

/// What a consumer told its hooks.
#[derive(Clone, Default)]
struct Told(Arc<Counters>);

#[derive(Default)]
struct Counters {
    revoked: AtomicU32,
    committed: AtomicU32,
    assigned: Mutex<Vec<TopicPartition>>,
}

impl ClientContext for Told {}

impl Hooks for Told {
    fn pre_rebalance(&self, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance
            && !partitions.is_empty()
        {
            self.0.revoked.fetch_add(1, SeqCst);
        }
    }

    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.0.assigned.lock().expect("a lock").extend_from_slice(partitions);
            panic!("a hook that panics harms nobody");
        }
    }

    fn commit_callback(
        &self,
        result: &rdkafka::error::KafkaResult<()>,
        offsets: &[TopicPartition],
    ) {
        if result.is_ok() && offsets.iter().any(|place| place.offset.is_some()) {
            self.0.committed.fetch_add(1, SeqCst);
        }
    }
}

/// How often the interval passes while a handler runs.
const INTERVALS: u32 = 3;
const INTERVAL: Duration = Duration::from_millis(1_000);

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_longer_than_the_poll_interval_keeps_the_membership() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    let (told, mut config) = (Told::default(), rig.config());
    config.set("max.poll.interval.ms", INTERVAL.as_millis().to_string());
    let consumer: StreamConsumer<Told> =
        config.create_with_context(told.clone()).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    rig.send(&producer, 0, "long").await;
    rig.send(&producer, 1, "next").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        let payload = delivery.process(async |message| {
            // The time itself is what is tried here: the interval has to pass.
            tokio::time::sleep(INTERVAL * INTERVALS).await;
            Ok::<_, String>(text(message.payload()))
        });
        seen.push(payload.await.expect("it succeeds"));
    }
    seen.sort_unstable();
    assert_eq!(seen, ["long", "next"]);
    assert_eq!(told.0.revoked.load(SeqCst), 0, "it was put out of the group");
    assert_eq!(told.0.assigned.lock().expect("a lock").len(), 2);
    assert_eq!(consumer.counts().transient_errors, 0, "the poll interval was exceeded");
    soon("closing", consumer.close()).await.expect("the last commit");
    assert!(told.0.committed.load(SeqCst) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_of_a_runner_longer_than_the_poll_interval_keep_the_membership() {
    handlers_longer_than_the_poll_interval("true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_those_of_a_runner_that_commits() {
    handlers_longer_than_the_poll_interval("false").await;
}

async fn handlers_longer_than_the_poll_interval(auto_commit: &str) {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    let (told, mut config) = (Told::default(), rig.config());
    config.set("enable.auto.commit", auto_commit);
    config.set("max.poll.interval.ms", INTERVAL.as_millis().to_string());
    let consumer: StreamConsumer<Told> =
        config.create_with_context(told.clone()).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    for number in 0..3 {
        rig.send(&producer, 0, &number.to_string()).await;
    }
    let closer = consumer.closer();
    let seen = Arc::new(Mutex::new(Vec::new()));
    // No room for a second one: nothing is received while the first is handled.
    let run = consumer.runner().buffer(1).run({
        let seen = Arc::clone(&seen);
        move |message| {
            let (seen, closer) = (Arc::clone(&seen), closer.clone());
            async move {
                tokio::time::sleep(INTERVAL * 2).await;
                let mut seen = seen.lock().expect("a lock");
                seen.push(text(message.payload()));
                if seen.len() == 3 {
                    closer.close();
                }
                Ok::<_, String>(())
            }
        }
    });
    soon("the end of the runner", run).await.expect("it was closed");
    assert_eq!(*seen.lock().expect("a lock"), ["0", "1", "2"]);
    assert_eq!(told.0.assigned.lock().expect("a lock").len(), 1, "it joined once");
    assert_eq!(committed(&rig), Offset::Offset(3));
}

/// What the group has committed of the first partition.
fn committed(rig: &Rig) -> Offset {
    let asks: BaseConsumer = rig.config().create().expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(rig.topic(), 0);
    asks.committed_offsets(asked, PATIENCE).expect("an answer").elements()[0].offset()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_longer_than_the_poll_interval_keeps_the_membership() {
    let rig = Rig::new(1).await;
    let (told, mut config) = (Told::default(), rig.config());
    config.set("enable.auto.commit", "false");
    config.set("max.poll.interval.ms", INTERVAL.as_millis().to_string());
    let consumer: StreamConsumer<Told> =
        config.create_with_context(told.clone()).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    rig.send(&rig.producer(), 0, "long").await;
    let closer = consumer.closer();
    let run = consumer.batch_runner(10, Duration::from_millis(10)).run(move |_| {
        let closer = closer.clone();
        async move {
            tokio::time::sleep(INTERVAL * INTERVALS).await;
            closer.close();
            Ok::<_, String>(())
        }
    });
    soon("the end of the runner", run).await.expect("it was closed");
    assert_eq!(told.0.assigned.lock().expect("a lock").len(), 1, "it joined once");
    assert_eq!(committed(&rig), Offset::Offset(1));
}

/// Tells which partitions have left.
#[derive(Clone)]
struct Left(Arc<watch::Sender<Vec<i32>>>);

impl ClientContext for Left {}

impl Hooks for Left {
    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.0.send_modify(|left| left.extend(partitions.iter().map(|place| place.partition)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_its_partition_has_left_is_somebody_elses() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    let dead = format!("{}.dead", rig.topic());
    rig.create_topic(&dead, 1).await;
    let left = Left(Arc::new(watch::Sender::new(Vec::new())));
    let consumer: StreamConsumer<Left> =
        rig.config().create_with_context(left.clone()).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    for partition in 0..2 {
        rig.send(&producer, partition, "fenced").await;
    }
    let (began, mut begun) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let letter = DeadLetter::new(rig.producer(), &*dead);
    let running = tokio::spawn(
        consumer
            .runner()
            .concurrency(2)
            .on_failure(OnFailure::DeadLetter(letter))
            .with_graceful_shutdown(async { stopped.await.unwrap_or_default() })
            .run({
                let left = left.clone();
                move |message| {
                    let (mut left, began) = (left.0.subscribe(), began.clone());
                    async move {
                        began.send(message.partition()).expect("the test is there");
                        let left = left.wait_for(|left| !left.is_empty()).await.expect("hooks");
                        // Whoever has lost the partition can't write any more.
                        match left.contains(&message.partition()) {
                            true => Err("fenced"),
                            false => Ok(()),
                        }
                    }
                }
            }),
    );
    for _ in 0..2 {
        soon("a handler", begun.recv()).await.expect("it is running");
    }
    let other = rig.consumer();
    let again = soon("the record", other.recv()).await.expect("no error").expect("open");
    assert!(left.0.borrow().contains(&again.partition()));
    again.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    stop.send(()).expect("it is running");
    soon("the end of the runner", running).await.expect("no panic").expect("no failure of ours");
    let sent = rig.recorder.spans().into_iter().filter(|span| span.name.ends_with(".dead"));
    assert_eq!(sent.count(), 0, "a dead letter was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_partitions_that_is_kept_does_not_keep_the_consumer_from_closing() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let consumer = rig.consumer();
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    let mut kept = TopicPartitionList::new();
    kept.add_partition_offset(rig.topic(), 0, Offset::Beginning).expect("an offset");
    consumer.pause(&kept).expect("paused");
    consumer.resume(&kept).expect("resumed");
    let places = (consumer.assignment(), consumer.position());
    soon("closing", consumer.close()).await.expect("the last commit");

    // Assigned by hand, without a group's say.
    let mut config = rig.config();
    config.set("group.protocol", "classic");
    let consumer: StreamConsumer = config.create().expect("a consumer");
    consumer.assign(&kept).expect("assigned");
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    drop(delivery);
    let dropping = tokio::task::spawn_blocking(move || drop(consumer));
    soon("dropping", dropping).await.expect("no panic");
    drop((kept, places));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_does_not_end_the_loop() {
    let rig = Rig::embedded(1);
    let (producer, consumer) = (rig.producer(), rig.consumer());
    rig.send(&producer, 0, "before").await;
    let before = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    before.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");

    rig.kafka().broker_down().expect("a broker that is away");
    let told = async {
        loop {
            match tokio::time::timeout(Duration::from_millis(50), consumer.recv()).await {
                Err(_) if consumer.counts().transient_errors > 0 => break,
                Err(_) => {}
                Ok(other) => panic!("it ended as {other:?}"),
            }
        }
    };
    soon("an error that passes", told).await;
    rig.kafka().broker_up().expect("a broker that is back");
    rig.send(&producer, 0, "after").await;
    let after = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    assert_eq!(after.offset(), 1);
    after.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
}

/// Somebody else has come to look after the group just as it shares its partitions.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_no_longer_knows_the_group_leaves_no_partition_unread() {
    for protocol in ["consumer", "classic"] {
        let rig = Rig::embedded(2);
        let producer = rig.producer();
        let mut config = rig.config();
        config.set("group.protocol", protocol);
        let refused = [Code::NotCoordinator, Code::NotCoordinator, Code::CoordinatorNotAvailable];
        rig.kafka().fail_next(KafkaRequest::OffsetFetch, &refused).expect("it is told");
        let consumer = rig.consumer_of(&config);
        for partition in 0..2 {
            rig.send(&producer, partition, "a").await;
        }
        for _ in 0..2 {
            let delivery = soon(protocol, consumer.recv()).await.expect("no error").expect("open");
            assert_eq!(delivery.offset(), 0);
            delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
        }
        assert!(consumer.counts().transient_errors >= 3, "it was refused");
    }
}

/// What one batch of partitions needs must not touch those that came before.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_read_go_on_where_they_are_when_others_are_not() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    for partition in 0..2 {
        rig.send(&producer, partition, "a").await;
    }
    let first = rig.consumer();
    for _ in 0..2 {
        let delivery = soon("a record", first.recv()).await.expect("no error").expect("open");
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    let second = rig.consumer();
    // One of the two partitions goes to it, and comes back.
    let moved = async {
        while second.assignment().expect("an assignment").is_empty() {
            let waits = Duration::from_millis(20);
            drop(tokio::time::timeout(waits, first.recv()).await.map(|_| panic!("none is left")));
            drop(tokio::time::timeout(waits, second.recv()).await.map(|_| panic!("none is left")));
        }
    };
    soon("a partition for the second", moved).await;
    let refused = [Code::NotCoordinator];
    rig.kafka().fail_next(KafkaRequest::OffsetFetch, &refused).expect("it is told");
    second.close().await.expect("it leaves");
    for partition in 0..2 {
        rig.send(&producer, partition, "b").await;
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivery = soon("a record", first.recv()).await.expect("no error").expect("open");
        seen.push((delivery.partition(), delivery.offset()));
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    seen.sort_unstable();
    assert_eq!(seen, [(0, 1), (1, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_out_before_a_seek_acknowledges_nothing() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = rig.consumer();
    let mut old = Vec::new();
    for _ in 0..2 {
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        old.push(delivery.into_owned());
    }
    consumer.seek(rig.topic(), 0, Offset::Offset(0), PATIENCE).expect("a seek");
    for delivery in old {
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    let again = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    assert_eq!(again.offset(), 0);
    again.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    consumer.commit(rdkafka::consumer::CommitMode::Sync).expect("a commit");
    let committed = consumer.committed(PATIENCE).expect("an answer");
    assert_eq!(committed[0].offset, Some(1), "what comes again is not acknowledged before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_handler_does_not_keep_others_from_receiving() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    let mut config = rig.config();
    // Somebody polls in its place every 100 ms: whoever receives comes in between.
    config.set("max.poll.interval.ms", "400");
    let consumer = Arc::new(rig.consumer_of(&config));
    rig.send(&producer, 0, "long").await;
    let begun = Arc::new(tokio::sync::Notify::new());
    let release = Arc::new(tokio::sync::Notify::new());
    let long = tokio::spawn({
        let (consumer, begun, release) =
            (Arc::clone(&consumer), Arc::clone(&begun), Arc::clone(&release));
        async move {
            let delivery = consumer.recv().await.expect("no error").expect("open");
            delivery
                .process(async |_| {
                    begun.notify_one();
                    release.notified().await;
                    Ok::<_, String>(())
                })
                .await
        }
    });
    soon("the long handler", begun.notified()).await;
    for number in 0..40_u64 {
        let payload = number.to_string();
        rig.send(&producer, 1, &payload).await;
        // By now nobody else polls, or somebody is just about to.
        tokio::time::sleep(Duration::from_micros(195_000 + number * 1_037 % 40_000)).await;
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        let seen = delivery.process(async |message| Ok::<_, String>(text(message.payload()))).await;
        assert_eq!(seen, Ok(payload));
    }
    release.notify_one();
    soon("the long handler's end", long).await.expect("no panic").expect("it succeeds");
}
