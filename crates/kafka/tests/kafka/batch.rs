//! Records that are processed together: one span, linked to all of them.
#![expect(clippy::disallowed_methods, reason = "the tasks of a test are of no trace")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use rdkafka::consumer::CommitMode;
use rdkafka::producer::FutureRecord;
use throughline_kafka::{Batch, DeadLetter, Error, OnFailure, Reason, StreamConsumer};
use tokio::sync::oneshot;

use crate::common::{PATIENCE, Rig, soon, text};

/// Sends so many records, one after the other to each partition.
async fn fill(rig: &Rig, records: usize, partitions: usize) {
    let producer = rig.producer();
    let mut sends = Vec::new();
    for number in 0..records {
        let payload = number.to_string();
        let partition = i32::try_from(number % partitions).expect("a few");
        let record = FutureRecord::<(), _>::to(rig.topic()).partition(partition).payload(&payload);
        sends.push(producer.send_result(record).map_err(|(error, _)| error).expect("room"));
    }
    for sent in sends {
        soon("an answer", sent).await.expect("an answer").expect("the broker took it");
    }
}

async fn batch(consumer: &StreamConsumer, max: usize) -> Batch<'_> {
    let batch = soon("a batch", consumer.recv_batch(max, PATIENCE)).await;
    batch.expect("no error").expect("nobody closed it")
}

async fn succeed(batch: Batch<'_>) -> Vec<String> {
    let processed = batch.process_batch(async |messages| {
        Ok::<_, String>(messages.iter().map(|message| text(message.payload())).collect())
    });
    processed.await.expect("it succeeds")
}

fn committed(consumer: &StreamConsumer) -> Vec<Option<i64>> {
    consumer.commit(CommitMode::Sync).expect("a commit");
    let committed = consumer.committed(PATIENCE).expect("an answer");
    committed.into_iter().map(|place| place.offset).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_linked_once_each() {
    const RECORDS: usize = 1_000;
    let rig = Rig::new(3).await;
    fill(&rig, RECORDS, 3).await;
    let consumer = rig.consumer();
    let batch = batch(&consumer, RECORDS).await;
    assert_eq!((batch.len(), batch.deliveries().len()), (RECORDS, RECORDS));
    assert!(batch.deliveries()[0].parent().is_some_and(|parent| parent.is_remote()));
    let inside = batch.process_batch(async |messages| {
        assert_eq!(messages.len(), RECORDS);
        tokio::task::yield_now().await;
        Ok::<_, String>(Context::current().span().span_context().span_id().to_string())
    });
    let inside = inside.await.expect("it succeeds");

    let spans = rig.recorder.spans();
    let process: Vec<_> = spans.iter().filter(|span| span.name.starts_with("process ")).collect();
    let [process] = process[..] else { panic!("{} spans of one batch", process.len()) };
    assert_eq!(process.span_id.to_string(), inside, "the handler runs in it");
    assert_eq!(process.parent, None, "no record is its parent");
    let sends: HashMap<_, _> = spans
        .iter()
        .filter(|span| span.name.starts_with("send "))
        .map(|span| ((span.trace_id, span.span_id), span))
        .collect();
    assert_eq!(sends.len(), RECORDS);
    let mut linked = HashMap::new();
    for holder in spans.iter().filter(|span| !span.links.is_empty()) {
        assert!(holder.links.len() <= 128 && holder.dropped_links_count == 0, "{}", holder.name);
        assert!(holder.trace_id == process.trace_id, "{} is of another trace", holder.name);
        let is_child = holder.parent == Some(process.span_id);
        assert!(holder.span_id == process.span_id || is_child, "{} is apart", holder.name);
        for link in &holder.links {
            let sent = sends.get(&(link.trace_id, link.span_id)).expect("a link to a send");
            let of = |key: &str| sent.attributes.get(key).cloned();
            let told = |key: &str| link.attributes.get(key).cloned();
            for key in ["kafka.offset", "messaging.destination.partition.id"] {
                assert!(told(key).is_some() && told(key) == of(key), "{key} is {:?}", told(key));
            }
            assert_eq!(told("messaging.destination.name"), None, "it is the same for all");
            *linked.entry(link.span_id).or_insert(0) += 1;
        }
    }
    assert_eq!(linked.len(), RECORDS, "records are linked that are not one of them");
    assert!(linked.values().all(|times| *times == 1), "a record is linked twice");
    assert_eq!(committed(&consumer), [Some(334), Some(333), Some(333)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_batch_is_a_child_of_what_is_current() {
    let rig = Rig::new(1).await;
    fill(&rig, 2, 1).await;
    let consumer = rig.consumer();
    let batch = batch(&consumer, 2).await;
    let config =
        throughline_core::Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
    let work = config.root("nightly").process(succeed(batch));
    let (seen, root) = work.await;
    root.end(throughline_core::End::Completed);
    assert_eq!(seen, ["0", "1"]);
    rig.assert_tree(
        "
        PRODUCER send orders
        PRODUCER send orders
        INTERNAL nightly
          CONSUMER process orders ~(send orders) ~(send orders) \
           {messaging.system.name=kafka, messaging.operation.name=process, \
           messaging.operation.type=process, messaging.destination.name=orders, \
           messaging.destination.partition.id=0, messaging.batch.message_count=2}
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_is_told_once_a_partition_and_comes_again() {
    let rig = Rig::new(2).await;
    fill(&rig, 6, 2).await;
    let consumer = rig.consumer();
    assert_eq!(succeed(batch(&consumer, 1).await).await.len(), 1);
    let failing = batch(&consumer, 4).await;
    let places: Vec<_> =
        failing.deliveries().iter().map(|record| (record.partition(), record.offset())).collect();
    let failed = failing.process_batch(async |_| Err::<(), _>("no room in the database"));
    failed.await.expect_err("it fails");
    let mut told = Vec::new();
    while let Ok(Err(error)) =
        tokio::time::timeout(Duration::from_millis(300), consumer.recv_batch(9, Duration::ZERO))
            .await
    {
        let Error::Failed(failed) = error else { panic!("{error}") };
        assert!(matches!(failed.reason(), Reason::Error(error) if
            error.to_string() == "no room in the database"));
        told.push((failed.partition(), failed.offset()));
    }
    told.sort_unstable();
    let mut firsts = HashMap::new();
    places.iter().for_each(|(partition, offset)| {
        firsts.entry(*partition).or_insert(*offset);
    });
    let mut firsts: Vec<_> = firsts.into_iter().collect();
    firsts.sort_unstable();
    assert_eq!(told, firsts, "the first of each partition, once");
    let acknowledged: i64 = committed(&consumer).into_iter().flatten().sum();
    assert_eq!(acknowledged, 1, "only the one that succeeded");
    assert_eq!(consumer.counts().failed, 4);
    soon("closing", consumer.close()).await.expect("the last commit");

    let consumer = rig.consumer();
    let mut seen = succeed(batch(&consumer, 5).await).await;
    seen.sort_unstable();
    assert_eq!(seen.len(), 5, "all but the first: {seen:?}");
    let acknowledged: i64 = committed(&consumer).into_iter().flatten().sum();
    assert_eq!(acknowledged, 6);
    rig.recorder.assert_all_ended();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_dropped_or_panics_acknowledges_nothing() {
    let rig = Rig::new(1).await;
    fill(&rig, 4, 1).await;
    let consumer = Arc::new(rig.consumer());
    drop(batch(&consumer, 2).await);
    assert_eq!(committed(&consumer), [None]);
    assert_eq!(consumer.counts().dropped, 2);
    let Err(Error::Failed(failed)) = soon("the failure", consumer.recv()).await else {
        panic!("it is not told")
    };
    assert!(matches!((failed.offset(), failed.reason()), (0, Reason::Dropped)));

    let mut place = rdkafka::TopicPartitionList::new();
    place.add_partition(rig.topic(), 0);
    consumer.resume(&place).expect("it goes back");
    let panicking = tokio::spawn({
        let consumer = Arc::clone(&consumer);
        async move {
            let batch = batch(&consumer, 3).await;
            let handled = batch.process_batch(async |messages| {
                assert_eq!(messages.len(), 3);
                std::panic::resume_unwind(Box::new("as the test wants it"));
                #[expect(unreachable_code, reason = "its type")]
                Ok::<(), String>(())
            });
            handled.await
        }
    });
    assert!(soon("the panic", panicking).await.is_err_and(|error| error.is_panic()));
    assert_eq!(committed(&consumer), [None]);
    let Err(Error::Failed(failed)) = soon("the failure", consumer.recv()).await else {
        panic!("it is not told")
    };
    assert!(matches!((failed.offset(), failed.reason()), (0, Reason::Panicked(_))));
    consumer.resume(&place).expect("it goes back");
    assert_eq!(succeed(batch(&consumer, 4).await).await, ["0", "1", "2", "3"]);
    assert_eq!(committed(&consumer), [Some(4)]);
    let spans = rig.recorder.spans();
    let panicked =
        spans.iter().filter(|span| span.attributes.get_str("error.type") == Some("panic"));
    assert_eq!(panicked.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_give_up_the_waiting_for_a_batch_loses_nothing() {
    let rig = Rig::new(1).await;
    fill(&rig, 3, 1).await;
    let consumer = rig.consumer();
    // It has some, and waits for more than there are.
    let waiting = async {
        let mut receiving = std::pin::pin!(consumer.recv_batch(9, PATIENCE));
        while consumer.counts().received < 3 {
            tokio::select! {
                _ = &mut receiving => panic!("there are no nine"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    soon("three records", waiting).await;
    assert_eq!(consumer.counts().received, 0, "they were handed out to nobody");
    assert_eq!(succeed(batch(&consumer, 3).await).await, ["0", "1", "2"]);
    assert_eq!((consumer.counts().dropped, consumer.counts().received), (0, 3));
    assert_eq!(committed(&consumer), [Some(3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_of_batches_tries_again_and_buries_each_in_its_trace() {
    let rig = Rig::new(1).await;
    let dead = format!("{}.dead", rig.topic());
    rig.create_topic(&dead, 1).await;
    fill(&rig, 2, 1).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = Mutex::new(Some(stop));
    let tries = AtomicU32::new(0);
    let consumer = rig.consumer();
    let run = consumer
        .batch_runner(2, PATIENCE)
        .retry(2, Duration::from_millis(1))
        .on_failure(OnFailure::DeadLetter(DeadLetter::new(rig.producer(), &*dead)))
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() })
        .run(move |messages| {
            assert_eq!(messages.len(), 2);
            if tries.fetch_add(1, SeqCst) == 1 {
                stop.lock().expect("a lock").take();
            }
            async { Err::<(), _>("no") }
        });
    soon("the end of the runner", run).await.expect("it was told to stop");
    rig.assert_tree(
        "
        PRODUCER send orders
          PRODUCER send orders.dead ~(process orders)
        PRODUCER send orders
          PRODUCER send orders.dead ~(process orders)
        CONSUMER process orders !error ~(send orders) ~(send orders)
        CONSUMER process orders !error ~(process orders) ~(send orders) ~(send orders) \
         {throughline.attempt=2}
        ",
    );
    let consumer = rig.consumer();
    let mut place = rdkafka::TopicPartitionList::new();
    place.add_partition(rig.topic(), 0);
    let committed = consumer.committed_offsets(&place, PATIENCE).expect("an answer");
    assert_eq!(committed[0].offset, Some(2), "what was put aside is acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_of_batches_stops_at_a_failure() {
    let rig = Rig::new(1).await;
    fill(&rig, 3, 1).await;
    let run = rig.consumer().batch_runner(3, PATIENCE).run(|_| async { Err::<(), _>("no") });
    let Err(Error::Failed(failed)) = soon("the end of the runner", run).await else {
        panic!("it goes on")
    };
    assert_eq!((failed.offset(), failed.reason().to_string()), (0, "no".to_owned()));
    let consumer = rig.consumer();
    assert_eq!(succeed(batch(&consumer, 3).await).await, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_on_links_and_links_find_room() {
    let rig = Rig::new(1).await;
    let other = format!("{}.more", rig.topic());
    rig.create_topic(&other, 1).await;
    fill(&rig, 2, 1).await;
    let tombstone = FutureRecord::<str, str>::to(&other).key("k");
    rig.producer().send(tombstone, PATIENCE).await.expect("the broker takes it");
    for max_links in [2, 0] {
        rig.recorder.clear();
        let config = rig.consumer_config(&format!("linking-{max_links}"));
        let consumer = rig.consumer_of(&config).max_links_per_span(max_links);
        consumer.subscribe(&[rig.topic(), &other]).expect("a subscription");
        assert_eq!(succeed(batch(&consumer, 3).await).await.len(), 3);
        let expected = match max_links {
            0 => "CONSUMER process {messaging.batch.message_count=3}",
            _ => {
                "
                CONSUMER process {messaging.batch.message_count=3} ~(elsewhere) ~(elsewhere)
                  INTERNAL link {messaging.system.name=kafka} ~(elsewhere)
                "
            }
        };
        rig.assert_tree(expected);
        let spans = rig.recorder.spans();
        let mut told: Vec<_> = spans
            .iter()
            .flat_map(|span| &span.links)
            .map(|link| {
                let of = |key| link.attributes.get_str(key).map(str::to_owned);
                (
                    of("messaging.destination.name"),
                    of("messaging.destination.partition.id"),
                    link.attributes.get_int("kafka.offset"),
                    link.attributes.get("kafka.message.tombstone").is_some(),
                )
            })
            .collect();
        told.sort();
        let place = |topic: &str, offset, is_tombstone| {
            (Some(topic.to_owned()), Some("0".to_owned()), Some(offset), is_tombstone)
        };
        let (topic, all) = (rig.topic(), max_links > 0);
        let expected = [place(topic, 0, false), place(topic, 1, false), place(&other, 0, true)];
        assert_eq!(told, if all { expected.to_vec() } else { Vec::new() });
    }
}
