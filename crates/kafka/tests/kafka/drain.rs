//! A runner that is told to stop finishes what runs, and gives back the rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use throughline_testing::embedded::KafkaRequest;
use tokio::sync::{Notify, oneshot};

use crate::common::{Rig, soon, text};

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_finished_and_the_rest_comes_again() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "c"] {
        rig.send(&producer, 0, payload).await;
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let (stop, done) = (Mutex::new(Some(stop)), Arc::new(Mutex::new(Vec::new())));
    let run = rig
        .consumer()
        .runner()
        .with_graceful_shutdown(async move { stopped.await.unwrap_or_default() })
        .run({
            let done = Arc::clone(&done);
            move |message| {
                if let Some(stop) = stop.lock().expect("a lock").take() {
                    stop.send(()).expect("somebody listens");
                }
                let done = Arc::clone(&done);
                async move {
                    // Long enough for the runner to see that it has to stop.
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    done.lock().expect("a lock").push(text(message.payload()));
                    Ok::<_, String>(())
                }
            }
        });
    soon("the end of the runner", run).await.expect("it was told to stop");
    let first: Vec<_> = done.lock().expect("a lock").clone();
    assert_eq!(first, ["a"], "what runs is finished, and nothing is begun");

    let consumer = rig.consumer();
    for wanted in ["b", "c"] {
        let delivery = soon("a record", consumer.recv()).await.expect("no error").expect("open");
        let seen = delivery.process(async |message| Ok::<_, String>(text(message.payload())));
        assert_eq!(seen.await.as_deref(), Ok(wanted));
    }
    rig.recorder.assert_all_ended();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_cancelled_and_comes_again() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let begun = Arc::new(Notify::new());
    let run = rig
        .consumer()
        .runner()
        .drain_timeout(Duration::from_millis(10))
        .with_graceful_shutdown({
            let begun = Arc::clone(&begun);
            async move { begun.notified().await }
        })
        .run(move |_| {
            begun.notify_one();
            std::future::pending::<Result<(), String>>()
        });
    soon("the end of the runner", run).await.expect("it was told to stop");
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders {error.type=cancelled}
        ",
    );
    let again = rig.consumer();
    let delivery = soon("a record", again.recv()).await.expect("no error").expect("open");
    assert_eq!(delivery.offset(), 0);
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
}

/// The group may be sharing its partitions anew just when one leaves it, as in a rolling update.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_that_refuses_the_last_commit_makes_nothing_come_again() {
    for auto_commit in ["true", "false"] {
        let rig = Rig::embedded(1);
        let producer = rig.producer();
        rig.send(&producer, 0, "a").await;
        let mut config = rig.config();
        // Nothing but the end commits.
        config.set("enable.auto.commit", auto_commit).set("auto.commit.interval.ms", "3600000");
        let first = rig.consumer_of(&config);
        let delivery = soon("a record", first.recv()).await.expect("no error").expect("open");
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
        let refused = [Code::RebalanceInProgress, Code::RebalanceInProgress];
        rig.kafka().fail_next(KafkaRequest::OffsetCommit, &refused).expect("it is told");
        soon("the end", first.close()).await.expect("it commits");

        rig.send(&producer, 0, "b").await;
        let again = rig.consumer_of(&config);
        let delivery = soon("a record", again.recv()).await.expect("no error").expect("open");
        assert_eq!(delivery.offset(), 1, "the first one came again, with {auto_commit}");
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
}
