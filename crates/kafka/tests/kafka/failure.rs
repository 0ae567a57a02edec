//! A record that isn't processed is not acknowledged, nor is any behind it.

use std::sync::{Arc, Mutex};

use throughline_kafka::{Error, Reason};

use crate::common::{Rig, soon, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_record_stops_its_partition_and_comes_again() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "b", "c"] {
        rig.send(&producer, 0, payload).await;
    }
    let consumer = rig.consumer();
    let mut seen = Vec::new();
    let failed = loop {
        match soon("a record", consumer.recv()).await {
            Ok(Some(delivery)) => {
                assert_eq!((delivery.topic(), delivery.partition()), (rig.topic(), 0));
                let processed = delivery.process(async |message| {
                    let payload = text(message.payload());
                    if payload == "b" { Err(format!("cannot take {payload}")) } else { Ok(payload) }
                });
                if let Ok(payload) = processed.await {
                    seen.push(payload);
                }
            }
            Ok(None) => panic!("nobody closed it"),
            Err(Error::Failed(failed)) => break failed,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(seen, ["a"]);
    assert_eq!((failed.topic(), failed.partition(), failed.offset()), (rig.topic(), 0, 1));
    assert!(
        matches!(failed.reason(), Reason::Error(error) if error.to_string() == "cannot take b")
    );
    soon("closing", consumer.close()).await.expect("the last commit");

    // Another consumer of the group gets it again, in the same trace.
    let consumer = rig.consumer();
    for wanted in ["b", "c"] {
        let delivery =
            soon("a record", consumer.recv()).await.expect("no error").expect("a record");
        let seen = delivery.process(async |message| Ok::<_, String>(text(message.payload()))).await;
        assert_eq!(seen.as_deref(), Ok(wanted));
    }
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders
        PRODUCER send orders
          CONSUMER process orders !error {error.type=alloc::string::String}
          CONSUMER process orders
        PRODUCER send orders
          CONSUMER process orders
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_stops_at_a_failure_and_finishes_what_runs() {
    let rig = Rig::new(2).await;
    let producer = rig.producer();
    for (partition, payload) in [(0, "bad"), (0, "behind"), (1, "good")] {
        rig.send(&producer, partition, payload).await;
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = rig.consumer().runner().concurrency(4).run({
        let seen = Arc::clone(&seen);
        move |message| {
            let seen = Arc::clone(&seen);
            async move {
                let payload = text(message.payload());
                if payload == "bad" {
                    return Err("not good");
                }
                seen.lock().expect("a lock").push(payload);
                Ok(())
            }
        }
    });
    match soon("the end of the runner", run).await {
        Err(Error::Failed(failed)) => assert_eq!((failed.partition(), failed.offset()), (0, 0)),
        other => panic!("it ended as {other:?}"),
    }
    assert!(!seen.lock().expect("a lock").contains(&"behind".to_owned()));
    rig.recorder.assert_all_ended();
}
