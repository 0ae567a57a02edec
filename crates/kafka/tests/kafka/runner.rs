//! Many records at once, in order where order matters.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rdkafka::producer::FutureRecord;
use tokio::task::JoinSet;

use crate::common::{PATIENCE, Rig, soon, text};

const RECORDS: usize = 1_000;
const KEYS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_handled_at_once_and_in_order_by_key() {
    let rig = Rig::new(4).await;
    let producer = rig.producer();
    let mut sends = JoinSet::new();
    for key in 0..KEYS {
        let (producer, topic) = (producer.clone(), rig.topic().to_owned());
        sends.spawn(async move {
            for number in 0..RECORDS / KEYS {
                let (key, payload) = (key.to_string(), number.to_string());
                let record = FutureRecord::to(&topic).key(&key).payload(&payload);
                producer.send(record, PATIENCE).await.expect("the broker takes it");
            }
        });
    }
    soon("the sends", sends.join_all()).await;

    let consumer = rig.consumer();
    let closer = consumer.closer();
    let seen = Arc::new(Mutex::new(HashMap::<String, Vec<String>>::new()));
    let run = consumer.runner().concurrency(16).per_key().run({
        let seen = Arc::clone(&seen);
        move |message| {
            let (seen, closer) = (Arc::clone(&seen), closer.clone());
            async move {
                tokio::task::yield_now().await;
                let mut seen = seen.lock().expect("a lock");
                seen.entry(text(message.key())).or_default().push(text(message.payload()));
                if seen.values().map(Vec::len).sum::<usize>() == RECORDS {
                    closer.close();
                }
                Ok::<_, String>(())
            }
        }
    });
    soon("the end of the runner", run).await.expect("it was closed");
    let wanted: Vec<_> = (0..RECORDS / KEYS).map(|number| number.to_string()).collect();
    let seen = seen.lock().expect("a lock");
    assert_eq!(seen.len(), KEYS);
    assert!(seen.values().all(|payloads| *payloads == wanted), "a key was out of order");

    rig.recorder.assert_all_ended();
    let spans = rig.recorder.spans();
    let sends: HashMap<_, _> = spans
        .iter()
        .filter(|span| span.name.starts_with("send "))
        .map(|span| (span.span_id, span.trace_id))
        .collect();
    let processed: Vec<_> = spans.iter().filter(|span| span.name.starts_with("process ")).collect();
    assert_eq!((sends.len(), processed.len()), (RECORDS, RECORDS));
    let are_children = processed
        .iter()
        .all(|span| span.parent.and_then(|parent| sends.get(&parent)) == Some(&span.trace_id));
    assert!(are_children, "a record was handled in another trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_of_a_backlog_are_handled_side_by_side() {
    const EACH: usize = 300;
    const PARTITIONS: i32 = 4;
    let rig = Rig::new(4).await;
    let producer = rig.producer();
    let mut sends = Vec::new();
    for partition in 0..PARTITIONS {
        for _ in 0..EACH {
            let record = FutureRecord::<(), _>::to(rig.topic()).partition(partition).payload("x");
            sends.push(producer.send_result(record).map_err(|(error, _)| error).expect("room"));
        }
    }
    for sent in sends {
        soon("an answer", sent).await.expect("an answer").expect("the broker took it");
    }
    let consumer = rig.consumer();
    let closer = consumer.closer();
    let running = Arc::new(AtomicUsize::new(0));
    // How many there were, and how many ran at once when each began.
    let seen = Arc::new(Mutex::new((0_usize, 0_usize)));
    let run = consumer.runner().concurrency(4).run({
        let seen = Arc::clone(&seen);
        move |_| {
            let (running, seen, closer) = (Arc::clone(&running), Arc::clone(&seen), closer.clone());
            async move {
                let at_once = running.fetch_add(1, SeqCst) + 1;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                running.fetch_sub(1, SeqCst);
                let mut seen = seen.lock().expect("a lock");
                *seen = (seen.0 + 1, seen.1 + at_once);
                if seen.0 == EACH * 4 {
                    closer.close();
                }
                Ok::<_, String>(())
            }
        }
    });
    soon("the end of the runner", run).await.expect("it was closed");
    let (records, at_once) = *seen.lock().expect("a lock");
    assert!(at_once > 2 * records, "{at_once} / {records} at once: one partition after the other");
}

#[tokio::test]
async fn who_has_nothing_to_read_is_told_at_once() {
    use rdkafka::error::KafkaError;
    use throughline_kafka::{Error, StreamConsumer};

    let rig = Rig::new(1).await;
    let consumer = || -> StreamConsumer { rig.config().create().expect("a consumer") };
    let one = consumer().runner().run(|_| async { Ok::<_, String>(()) });
    let many = consumer()
        .batch_runner(10, std::time::Duration::ZERO)
        .run(|_| async { Ok::<_, String>(()) });
    for told in [soon("an answer", one).await, soon("an answer", many).await] {
        let error = told.expect_err("it would wait for ever");
        assert!(matches!(error, Error::Kafka(KafkaError::Subscription(_))), "{error:?}");
        assert!(error.to_string().contains("`subscribe` or `assign`"), "{error}");
    }
}
