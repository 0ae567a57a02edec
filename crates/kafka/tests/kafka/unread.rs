//! Partitions that librdkafka forgets once a broker has refused to say where they begin.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::CommitMode;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use throughline_kafka::{Hooks, Rebalance, StreamConsumer, TopicPartition};
use throughline_testing::embedded::KafkaRequest;
use tokio::sync::watch;

use crate::common::{PATIENCE, Rig, soon};

/// So long somebody polls before it is looked what became of it.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Longer than a member takes to hear of a rebalance.
const BUSY: Duration = Duration::from_millis(3_500);

/// Polls for a moment, and notes what comes.
async fn poll<H: Hooks>(consumer: &StreamConsumer<H>, seen: &mut Vec<(i32, i64)>) {
    let polling = async {
        loop {
            let delivery = consumer.recv().await.expect("no error").expect("open");
            seen.push((delivery.partition(), delivery.offset()));
            delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
        }
    };
    drop(tokio::time::timeout(A_MOMENT, polling).await);
}

/// What comes until there are as many.
async fn read<H: Hooks>(what: &str, consumer: &StreamConsumer<H>, count: usize) -> Vec<(i32, i64)> {
    let mut seen = Vec::new();
    let reading = async {
        while seen.len() < count {
            poll(consumer, &mut seen).await;
        }
    };
    soon(what, reading).await;
    seen.sort_unstable();
    seen
}

fn assigned<H: Hooks>(consumer: &StreamConsumer<H>) -> usize {
    consumer.assignment().expect("an assignment").len()
}

fn refuse(rig: &Rig, codes: &[Code]) {
    rig.kafka().fail_next(KafkaRequest::OffsetFetch, codes).expect("it is told");
}

fn place(topic: &str, partition: i32, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).expect("an offset");
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn others_that_come_do_not_make_the_first_ones_forgotten() {
    let rig = Rig::embedded(4);
    let producer = rig.producer();
    let (first, mut none) = (rig.consumer(), Vec::new());
    let all = async {
        while assigned(&first) < 4 {
            poll(&first, &mut none).await;
        }
    };
    soon("all for the first", all).await;

    let second = rig.consumer();
    refuse(&rig, &[Code::NotCoordinator]);
    let mut seen = Vec::new();
    let half = async {
        while second.counts().transient_errors == 0 {
            tokio::join!(poll(&first, &mut none), poll(&second, &mut seen));
        }
    };
    soon("a part for the second", half).await;
    assert!((1..4).contains(&assigned(&second)));
    let closing = tokio::spawn(first.close());
    let mut refused = 0;
    let rest = async {
        while assigned(&second) < 4 {
            // Refused as often as it is asked until then.
            let errors = second.counts().transient_errors;
            if std::mem::replace(&mut refused, errors) != errors {
                refuse(&rig, &[Code::NotCoordinator]);
            }
            poll(&second, &mut seen).await;
        }
    };
    soon("the rest for the second", rest).await;
    soon("closing", closing).await.expect("no panic").expect("it is closed");
    for partition in 0..4 {
        rig.send(&producer, partition, "a").await;
    }
    let seen = read("all four", &second, 4).await;
    assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (3, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_broker_says_all_partitions_are_read() {
    let codes = [
        Code::Unknown,
        Code::BrokerNotAvailable,
        Code::NotLeaderForPartition,
        Code::RequestTimedOut,
    ];
    for code in codes {
        let rig = Rig::embedded(2);
        let producer = rig.producer();
        for partition in 0..2 {
            rig.send(&producer, partition, "a").await;
        }
        refuse(&rig, &[code]);
        let seen = read(&format!("all in spite of {code:?}"), &rig.consumer(), 2).await;
        assert_eq!(seen, [(0, 0), (1, 0)]);
    }
}

/// librdkafka asks nothing again if what it reads has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn so_they_are_if_others_were_added_while_it_was_asked() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    rig.create_topic("other", 1).await;
    for partition in 0..2 {
        rig.send(&producer, partition, "a").await;
    }
    let (consumer, mut seen) = (rig.consumer(), Vec::new());
    rig.kafka().round_trip_time(Duration::from_millis(200)).expect("slow answers");
    refuse(&rig, &[Code::CoordinatorLoadInProgress]);
    let all = async {
        while assigned(&consumer) < 2 {
            poll(&consumer, &mut seen).await;
        }
    };
    soon("an assignment", all).await;
    assert_eq!(seen, [], "it is still asked");
    consumer.incremental_assign(&place("other", 0, Offset::Beginning)).expect("assigned");
    assert_eq!(read("all", &consumer, 2).await, [(0, 0), (1, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_assigned_by_hand_is_read_too() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    let mut config = rig.config();
    config.set("group.protocol", "classic");
    let consumer: StreamConsumer = config.create().expect("a consumer");
    refuse(&rig, &[Code::NotCoordinator]);
    consumer.assign(&place(rig.topic(), 0, Offset::Stored)).expect("assigned");
    rig.send(&producer, 0, "a").await;
    assert_eq!(read("the first", &consumer, 1).await, [(0, 0)]);

    refuse(&rig, &[Code::NotCoordinator]);
    consumer.incremental_assign(&place(rig.topic(), 1, Offset::Stored)).expect("assigned");
    for partition in 0..2 {
        rig.send(&producer, partition, "b").await;
    }
    assert_eq!(read("the second", &consumer, 2).await, [(0, 1), (1, 0)]);
}

/// What happens, in order.
#[derive(Clone, Default)]
struct Story {
    told: Arc<Mutex<Vec<&'static str>>>,
    /// How often it was asked where the first partition begins: there the service says it.
    starts: Arc<AtomicU32>,
}

impl Story {
    fn tell(&self, what: &'static str) {
        self.told.lock().expect("a lock").push(what);
    }

    fn told(&self) -> Vec<&'static str> {
        self.told.lock().expect("a lock").clone()
    }
}

impl ClientContext for Story {}

impl Hooks for Story {
    fn pre_rebalance(&self, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.tell("revoked");
        }
    }

    fn start_at(&self, place: &TopicPartition) -> Option<i64> {
        self.starts.fetch_add(1, SeqCst);
        (place.partition == 0).then_some(0)
    }
}

fn with_hooks<H: Hooks>(rig: &Rig, hooks: H, settings: &[(&str, &str)]) -> StreamConsumer<H> {
    let mut config = rig.config();
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let consumer: StreamConsumer<H> = config.create_with_context(hooks).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    consumer
}

/// A revoke is in the queue, and whoever received is busy for longer than partitions wait to be read
/// anew: nothing is handed on.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_that_waits_is_not_answered_by_reading_anew() {
    let rig = Rig::embedded(2);
    rig.create_topic("other", 2).await;
    let story = Story::default();
    let (first, mut none) = (with_hooks(&rig, story.clone(), &[]), Vec::new());
    let all = async {
        while assigned(&first) < 2 {
            poll(&first, &mut none).await;
        }
    };
    soon("all for the first", all).await;
    // The first is an error that passes, and the second one ends `recv` before the revoke.
    refuse(&rig, &[Code::NotCoordinator, Code::GroupAuthorizationFailed]);
    for partition in 0..2 {
        first.incremental_assign(&place("other", partition, Offset::Stored)).expect("assigned");
        tokio::time::sleep(BUSY / 8).await;
    }
    let second = rig.consumer();
    let other = tokio::spawn({
        let story = story.clone();
        async move {
            while assigned(&second) == 0 {
                poll(&second, &mut Vec::new()).await;
            }
            story.tell("handed on");
            second
        }
    });
    // Until the group has told the first one, which looks for it every three seconds; and then until
    // it would have told the second one.
    tokio::time::sleep(BUSY).await;
    soon("an error", first.recv()).await.expect_err("it has no right to");
    assert!(first.counts().transient_errors > 0, "and it was refused before");
    assert_eq!(story.told(), Vec::<&str>::new());
    tokio::time::sleep(BUSY).await;
    let revoked = async {
        while !other.is_finished() {
            // What is left of the errors.
            drop(tokio::time::timeout(A_MOMENT, first.recv()).await);
        }
    };
    soon("a partition for the second", revoked).await;
    assert_eq!(story.told(), ["revoked", "handed on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_committed_whatever_was_read_anew() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    for partition in 0..2 {
        rig.send(&producer, partition, "a").await;
    }
    refuse(&rig, &[Code::NotCoordinator]);
    let settings = [("group.protocol", "classic"), ("enable.auto.commit", "false")];
    // The first partition runs, and the second one has to be asked for.
    let consumer = with_hooks(&rig, Story::default(), &settings);
    assert_eq!(read("both", &consumer, 2).await, [(0, 0), (1, 0)]);
    assert!(consumer.counts().transient_errors > 0, "it was refused");
    consumer.commit(CommitMode::Sync).expect("a commit");
    let committed = consumer.committed(PATIENCE).expect("an answer");
    let committed: Vec<_> = committed.iter().map(|place| place.offset).collect();
    assert_eq!(committed, [Some(1), Some(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_had_to_read_anew_is_closed_when_it_says_so() {
    let rig = Rig::embedded(1);
    let story = Story::default();
    let consumer = with_hooks(&rig, Slow(story.clone()), &[]);
    refuse(&rig, &[Code::NotCoordinator]);
    let refused = async {
        while consumer.counts().transient_errors == 0 {
            poll(&consumer, &mut Vec::new()).await;
        }
    };
    soon("a refusal", refused).await;
    // By then a task would be in the hook.
    tokio::time::sleep(Duration::from_millis(200)).await;
    soon("closing", consumer.close()).await.expect("it is closed");
    assert_eq!(story.told(), ["revoked"]);
    assert_eq!(story.starts.load(SeqCst), 1, "it is asked as they come");
}

/// Takes its time if it is asked again where a partition begins.
#[derive(Clone)]
struct Slow(Story);

impl ClientContext for Slow {}

impl Hooks for Slow {
    fn pre_rebalance(&self, rebalance: &Rebalance<'_>) {
        self.0.pre_rebalance(rebalance);
    }

    fn start_at(&self, _: &TopicPartition) -> Option<i64> {
        if self.0.starts.fetch_add(1, SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1_000));
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_is_not_undone() {
    for protocol in ["consumer", "classic"] {
        let rig = Rig::embedded(2);
        let producer = rig.producer();
        for _ in 0..3 {
            rig.send(&producer, 0, "a").await;
        }
        refuse(&rig, &[Code::NotCoordinator]);
        let consumer = with_hooks(&rig, Story::default(), &[("group.protocol", protocol)]);
        let first = soon(protocol, consumer.recv()).await.expect("no error").expect("open");
        assert_eq!(first.offset(), 0);
        first.process(async |_| Err::<(), _>("no")).await.expect_err("it fails");
        soon(protocol, consumer.recv()).await.expect_err("it has failed");
        consumer.seek(rig.topic(), 0, Offset::Offset(1), PATIENCE).expect("a seek");
        // The other one is read anew while this one stands still.
        rig.send(&producer, 1, "b").await;
        assert_eq!(read(protocol, &consumer, 1).await, [(1, 0)]);
        assert!(consumer.counts().transient_errors > 0, "it was refused");
        consumer.resume(&place(rig.topic(), 0, Offset::Invalid)).expect("resumed");
        assert_eq!(read(protocol, &consumer, 2).await, [(0, 1), (0, 2)]);
    }
}

/// Where records never run out, nobody has to wait for their end.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_full_does_not_keep_others_unread() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    for _ in 0..20 {
        rig.send(&producer, 0, "a").await;
    }
    rig.send(&producer, 1, "b").await;
    refuse(&rig, &[Code::NotCoordinator]);
    let consumer = with_hooks(&rig, Story::default(), &[]);
    let mut full = Vec::new();
    let other = async {
        loop {
            let delivery = consumer.recv().await.expect("no error").expect("open");
            let (partition, offset) = (delivery.partition(), delivery.offset());
            // As many as before are left.
            rig.send(&producer, 0, "a").await;
            delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
            match partition {
                0 => full.push(offset),
                _ => break,
            }
        }
    };
    soon("the other one", other).await;
    full.extend(read("the rest", &consumer, 21).await.into_iter().map(|(_, offset)| offset));
    let expected: Vec<_> = (0..).take(full.len()).collect();
    assert_eq!(full, expected, "it goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_read_anew_while_a_handler_runs() {
    let rig = Rig::embedded(2);
    let producer = rig.producer();
    for partition in 0..2 {
        rig.send(&producer, partition, "a").await;
    }
    refuse(&rig, &[Code::NotCoordinator; 2]);
    // Somebody polls in its place after a quarter of it.
    let settings = [("max.poll.interval.ms", "1000")];
    let consumer = with_hooks(&rig, Story::default(), &settings);
    let first = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    assert_eq!(first.partition(), 0);
    let asked = first.process(async |_| {
        // One for the question, and one for the partition: the third is of a second question.
        while consumer.counts().transient_errors < 3 {
            tokio::time::sleep(A_MOMENT).await;
        }
        Ok::<_, String>(())
    });
    soon("a second question", asked).await.expect("it succeeds");
}

/// Tells whether the first partition is read, whatever is in it.
#[derive(Clone, Default)]
struct Reads(Arc<watch::Sender<bool>>);

impl Hooks for Reads {}

impl ClientContext for Reads {
    fn stats(&self, statistics: Statistics) {
        let of = statistics.topics.get("orders").and_then(|topic| topic.partitions.get(&0));
        self.0.send_replace(of.is_some_and(|of| of.fetch_state == "active"));
    }
}

/// One that is empty looks like one that isn't read. It must not begin at the end anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_read_and_was_empty_stays_where_it_is() {
    for is_paused in [true, false] {
        let rig = Rig::embedded(1);
        rig.create_topic("other", 1).await;
        let (producer, reads) = (rig.producer(), Reads::default());
        let settings = [("auto.offset.reset", "latest"), ("statistics.interval.ms", "50")];
        let consumer = with_hooks(&rig, reads.clone(), &settings);
        let begun = async {
            while !*reads.0.borrow() {
                poll(&consumer, &mut Vec::new()).await;
            }
        };
        soon("its beginning", begun).await;
        let first = place(rig.topic(), 0, Offset::Invalid);
        if is_paused {
            // What comes now stays where it is until then.
            consumer.pause(&first).expect("paused");
            rig.send(&producer, 0, "a").await;
        }
        refuse(&rig, &[Code::NotCoordinator; 2]);
        consumer.incremental_assign(&place("other", 0, Offset::Stored)).expect("assigned");
        let again = async {
            // Two errors for each time it is asked: it was asked anew.
            while consumer.counts().transient_errors < 4 {
                poll(&consumer, &mut Vec::new()).await;
            }
        };
        soon("a second question", again).await;
        if is_paused {
            consumer.resume(&first).expect("resumed");
        } else {
            rig.send(&producer, 0, "a").await;
        }
        rig.send(&producer, 0, "b").await;
        assert_eq!(read("both", &consumer, 2).await, [(0, 0), (0, 1)]);
    }
}
