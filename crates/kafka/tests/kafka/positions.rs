//! What a consumer reads, as the service or its group says while it reads.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rdkafka::consumer::{CommitMode, RebalanceProtocol};
use rdkafka::producer::FutureRecord;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use throughline_kafka::offsets_of::Theirs;
use throughline_kafka::{Delivery, Hooks, Rebalance, StreamConsumer};
use tokio::sync::mpsc;

use crate::common::{PATIENCE, Rig, soon, text};

fn places(rig: &Rig, places: &[(i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in places {
        list.add_partition_offset(rig.topic(), *partition, Offset::Offset(*offset)).expect("one");
    }
    list
}

/// A consumer without a group's say, that reads nothing yet.
fn alone(rig: &Rig) -> StreamConsumer {
    let mut config = rig.config();
    config.set("group.protocol", "classic").set("enable.auto.commit", "false");
    config.create().expect("a consumer")
}

async fn next<H: Hooks>(consumer: &StreamConsumer<H>) -> Delivery<'_> {
    soon("a record", consumer.recv()).await.expect("no error").expect("nobody closed it")
}

async fn succeed(delivery: Delivery<'_>) -> String {
    let processed = delivery.process(async |message| Ok::<_, String>(text(message.payload())));
    processed.await.expect("it succeeds")
}

fn committed(consumer: &StreamConsumer, of: &TopicPartitionList) -> Vec<Option<i64>> {
    consumer.commit(CommitMode::Sync).expect("a commit");
    let committed = consumer.committed_offsets(of, PATIENCE).expect("an answer");
    committed.into_iter().map(|place| place.offset).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_come_and_go_one_by_one() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    for (partition, payload) in [(0, "a"), (0, "b"), (1, "c"), (1, "d")] {
        rig.send(&producer, partition, payload).await;
    }
    let consumer = alone(&rig);
    let (first, second) = (places(&rig, &[(0, 0)]), places(&rig, &[(1, 0)]));
    consumer.incremental_assign(&first).expect("assigned");
    assert_eq!(succeed(next(&consumer).await).await, "a");
    let stale = next(&consumer).await.into_owned();
    consumer.incremental_assign(&second).expect("assigned");
    assert_eq!(succeed(next(&consumer).await).await, "c");
    assert_eq!(committed(&consumer, &places(&rig, &[(0, 0), (1, 0)])), [Some(1), Some(1)]);
    let kept = next(&consumer).await.into_owned();
    consumer.incremental_unassign(&first).expect("no more of it");
    assert_eq!(consumer.assignment().expect("an answer").len(), 1);
    // What left counts for nothing, and what stayed does.
    for delivery in [stale, kept] {
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    assert_eq!(committed(&consumer, &places(&rig, &[(0, 0), (1, 0)])), [Some(1), Some(2)]);
    // It comes again, and counts anew, also after it has failed.
    consumer.incremental_assign(&places(&rig, &[(0, 1)])).expect("assigned");
    drop(next(&consumer).await);
    consumer.incremental_unassign(&first).expect("no more of it");
    consumer.incremental_assign(&places(&rig, &[(0, 1)])).expect("assigned");
    assert_eq!(succeed(next(&consumer).await).await, "b");
    assert_eq!(committed(&consumer, &first), [Some(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_partitions_are_read_elsewhere_at_once() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    for partition in [0, 1] {
        for payload in ["a", "b", "c"] {
            rig.send(&producer, partition, payload).await;
        }
    }
    let consumer = alone(&rig);
    consumer.assign(&places(&rig, &[(0, 0), (1, 0)])).expect("assigned");
    let mut failed = HashSet::new();
    while failed.len() < 2 {
        // The first of each partition fails, and holds it.
        match soon("a record", consumer.recv()).await {
            Ok(Some(delivery)) => drop(delivery),
            Ok(None) => panic!("nobody closed it"),
            Err(throughline_kafka::Error::Failed(told)) => {
                failed.insert(told.partition());
            }
            Err(error) => panic!("{error}"),
        }
    }
    let elsewhere = places(&rig, &[(0, 2), (1, 1)]);
    consumer.seek_partitions(&elsewhere, PATIENCE).expect("they go there");
    consumer.resume(&elsewhere).expect("they go on");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let delivery = next(&consumer).await;
        let partition = delivery.partition();
        seen.push((partition, succeed(delivery).await));
    }
    seen.sort();
    let expected = [(0, "c"), (1, "b"), (1, "c")];
    assert_eq!(seen, expected.map(|(partition, payload)| (partition, payload.to_owned())));
    assert_eq!(committed(&consumer, &elsewhere), [Some(3), Some(3)]);
    let missing = places(&rig, &[(0, 0), (99, 0)]);
    consumer.seek_partitions(&missing, PATIENCE).expect_err("there is no partition 99");
    assert_eq!(succeed(next(&consumer).await).await, "a", "and the other one has gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_hands_out_records_in_their_traces_until_it_is_closed() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = rig.consumer();
    let closer = consumer.closer();
    let seen = consumer.stream().and_then(async |delivery| {
        let payload = succeed(delivery).await;
        if payload == "b" {
            closer.close();
        }
        Ok(payload)
    });
    let seen: Vec<_> = soon("the end of the stream", seen.try_collect()).await.expect("no error");
    assert_eq!(seen, ["a", "b"]);
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders
        PRODUCER send orders
          CONSUMER process orders
        ",
    );
    // One that fails is told by the next, and ends nothing.
    let consumer = rig.consumer_of(&rig.consumer_config("others"));
    let mut stream = std::pin::pin!(consumer.stream());
    drop(soon("a record", stream.next()).await.expect("it is open").expect("no error"));
    let told = soon("the failure", stream.next()).await.expect("it is open");
    assert!(matches!(told, Err(throughline_kafka::Error::Failed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_offsets_of_its_own_commits_message_by_message() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "c"] {
        rig.send(&producer, 0, payload).await;
    }
    let mut config = rig.config();
    config.set("enable.auto.commit", "false");
    let consumer = rig.consumer_of(&config).offsets(Theirs);
    let at = |offset| places(&rig, &[(0, offset)]);
    let committed = || consumer.committed(PATIENCE).expect("an answer")[0].offset;
    let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
    let processed = delivery.process(async |message| {
        consumer.commit_message(message, CommitMode::Sync)?;
        Ok::<_, rdkafka::error::KafkaError>(())
    });
    processed.await.expect("it commits");
    assert_eq!(committed(), Some(1));
    consumer.store_offsets(&at(2)).expect("stored");
    consumer.commit_stored(CommitMode::Sync).expect("committed");
    assert_eq!(committed(), Some(2));
}

/// What a member of a group saw of its rebalances.
#[derive(Clone)]
struct Sees(mpsc::UnboundedSender<(bool, Vec<i32>)>);

impl ClientContext for Sees {}

impl Hooks for Sees {
    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        let (is_assigned, partitions) = match rebalance {
            Rebalance::Assign(partitions) => (true, *partitions),
            Rebalance::Revoke(partitions) => (false, *partitions),
            _ => return,
        };
        let partitions = partitions.iter().map(|place| place.partition).collect();
        self.0.send((is_assigned, partitions)).unwrap_or_default();
    }
}

fn member(
    rig: &Rig,
    config: &ClientConfig,
) -> (StreamConsumer<Sees>, mpsc::UnboundedReceiver<(bool, Vec<i32>)>) {
    let (sees, seen) = mpsc::unbounded_channel();
    let consumer: StreamConsumer<Sees> =
        config.create_with_context(Sees(sees)).expect("a consumer");
    consumer.subscribe(&[rig.topic()]).expect("a subscription");
    (consumer, seen)
}

/// Which partition's record was handled how often, by its number there.
type Handled = Arc<Mutex<BTreeMap<(i32, i64), usize>>>;

/// A group that takes partitions away one by one loses nothing, and disturbs nothing that stays. The
/// mock cluster knows no such group.
async fn one_by_one(kind: &str, settings: &[(&str, &str)]) {
    const PARTITIONS: i32 = 4;
    const EACH: i64 = 150;
    if std::env::var_os("KAFKA_BROKERS").is_none() {
        eprintln!("LEFT OUT: KAFKA_BROKERS is not set, and the mock cluster knows no {kind}");
        return;
    }
    let rig = Rig::new(4).await;
    let mut config = rig.config();
    config.set("group.protocol", "classic");
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    let handled: Handled = Handled::default();
    let (first, mut seen) = member(&rig, &config);
    // Held while the group changes: one record of each partition.
    let mut held = BTreeMap::new();
    let producer = rig.producer();
    for partition in 0..PARTITIONS {
        rig.send(&producer, partition, "held").await;
    }
    while held.len() < 4 {
        let delivery = next(&first).await;
        held.insert(delivery.partition(), delivery.into_owned());
    }
    let mut sends = Vec::new();
    for partition in (0..PARTITIONS).cycle().take(4 * 150) {
        let record = FutureRecord::<(), str>::to(rig.topic()).partition(partition).payload("x");
        sends.push(producer.send_result(record).map_err(|(error, _)| error).expect("room"));
    }
    for sent in sends {
        soon("an answer", sent).await.expect("an answer").expect("the broker took it");
    }
    assert!(matches!(first.rebalance_protocol(), RebalanceProtocol::Cooperative), "{kind}");
    let run = |consumer: StreamConsumer<Sees>| {
        let (closer, handled) = (consumer.closer(), Arc::clone(&handled));
        let run = consumer.runner().concurrency(4).run(move |message| {
            let place = (message.partition(), message.offset());
            *handled.lock().expect("a lock").entry(place).or_insert(0) += 1;
            async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok::<_, String>(())
            }
        });
        (tokio::spawn(run), closer)
    };
    let (first, first_closer) = run(first);
    let (second, mut second_seen) = member(&rig, &config);
    let (second, second_closer) = run(second);
    // The second member has partitions, and the first has kept others.
    let moved = async {
        loop {
            let (is_assigned, partitions) = second_seen.recv().await.expect("it lives");
            if is_assigned && !partitions.is_empty() {
                break partitions;
            }
        }
    };
    let moved: HashSet<i32> = soon("a rebalance", moved).await.into_iter().collect();
    assert!(moved.len() < 4, "{kind}: all of them moved");
    // Those that moved were held by the first member, and count for nothing any more; those that
    // stayed do.
    for delivery in held.into_values() {
        let place = (delivery.partition(), delivery.offset());
        *handled.lock().expect("a lock").entry(place).or_insert(0) += 1;
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    let check: StreamConsumer = config.create().expect("a consumer");
    let all: Vec<_> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let all = places(&rig, &all);
    let acknowledged = async {
        loop {
            let committed = check.committed_offsets(&all, PATIENCE).expect("an answer");
            if committed.iter().all(|place| place.offset == Some(EACH + 1)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("every record's acknowledgement", acknowledged).await;
    second_closer.close();
    soon("the second member's end", second).await.expect("no panic").expect("it was closed");
    first_closer.close();
    soon("the first member's end", first).await.expect("no panic").expect("it was closed");
    let mut revoked = HashSet::new();
    while let Ok((is_assigned, partitions)) = seen.try_recv() {
        if !is_assigned && revoked.is_empty() {
            revoked.extend(partitions);
        }
    }
    assert_eq!(revoked, moved, "{kind}: only those that moved left the first member");
    let handled = handled.lock().expect("a lock");
    for (place, times) in &*handled {
        assert!(moved.contains(&place.0) || *times == 1, "{kind}: {place:?} came {times} times");
    }
    assert_eq!(handled.len(), usize::try_from(4 * (EACH + 1)).expect("few"), "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cooperative_rebalances_lose_nothing_and_disturb_nothing_that_stays() {
    one_by_one("cooperative rebalance", &[("partition.assignment.strategy", "cooperative-sticky")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebalances_by_the_broker_lose_nothing_and_disturb_nothing_that_stays() {
    one_by_one("rebalance by the broker", &[("group.protocol", "consumer")]).await;
}
