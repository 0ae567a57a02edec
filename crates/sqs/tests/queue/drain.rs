//! How a runner ends.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use throughline_sqs::Error;
use throughline_testing::embedded::sqs::{Fault, Operation};
use tokio::sync::Notify;

use crate::common::{PATIENCE, Rig, Seen, name, soon};

/// How often each message was received that is there to be received, this time included.
async fn received(rig: &Rig, url: &str) -> Vec<(String, String)> {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let request = rig.raw.receive_message().queue_url(url).max_number_of_messages(10);
    let request = request.message_system_attribute_names(count.clone());
    let messages = request.send().await.expect("an answer").messages.unwrap_or_default();
    let told = messages.into_iter().map(|it| {
        let count = it.attributes.and_then(|mut it| it.remove(&count));
        (it.body.expect("a body"), count.expect("a count"))
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

/// What runs is finished, what is late is given back, and so is what a poll still brings.
#[tokio::test]
async fn a_drain_finishes_what_runs_and_gives_back_the_rest() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "quick").await;
    rig.send(&url, "endless").await;
    let (stop, go_on, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Seen::default());
    let run = {
        let (stop, go_on, seen) = (Arc::clone(&stop), Arc::clone(&go_on), seen.clone());
        rig.read(&url)
            .wait_time(Duration::from_secs(2))
            // What failed would come again much later.
            .backoff(PATIENCE, PATIENCE)
            .runner()
            .concurrency(4)
            .with_graceful_shutdown(async move { stop.notified().await })
            .drain_timeout(Duration::from_secs(4))
            .run(move |message| {
                seen.add(message.body(), 2);
                let go_on = Arc::clone(&go_on);
                async move {
                    match message.body() {
                        "quick" => go_on.notified().await,
                        "endless" => std::future::pending().await,
                        other => panic!("{other} was begun in a drain"),
                    }
                    Ok::<_, String>(())
                }
            })
    };
    let run = tokio::spawn(run);
    soon("both handlers", seen.enough()).await;
    stop.notify_one();
    // The runner waits for this one, and must not begin it.
    rig.send(&url, "late").await;
    go_on.notify_one();
    soon("the end", run).await.expect("no panic").expect("a drain");
    assert_eq!(rig.counts(&url).await, (2, 0));
    // Each was received, and given back.
    let twice = ["endless", "late"].map(|body| (body.to_owned(), "2".to_owned()));
    assert_eq!(received(&rig, &url).await, twice);
    let name = name(&url);
    throughline_testing::tree::assert_tree(
        &rig.spans("process "),
        &format!("CONSUMER process {name}\nCONSUMER process {name} {{error.type=cancelled}}"),
    );
}

/// However short the drain: what a receive brings that is on its way must not be hidden.
#[tokio::test]
async fn a_drain_that_is_shorter_than_a_poll_waits_for_it() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "first").await;
    let (stop, seen) = (Arc::new(Notify::new()), Seen::default());
    let run = {
        let (stop, seen) = (Arc::clone(&stop), seen.clone());
        rig.read(&url)
            .wait_time(Duration::from_secs(2))
            .runner()
            .drain_timeout(Duration::from_millis(50))
            .with_graceful_shutdown(async move { stop.notified().await })
            .run(move |message| {
                seen.add(message.body(), 1);
                async { Ok::<_, String>(()) }
            })
    };
    let run = tokio::spawn(run);
    soon("the first", seen.enough()).await;
    rig.wait_counts(&url, (0, 0)).await;
    stop.notify_one();
    // As long as it would have waited for handlers.
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.send(&url, "late").await;
    soon("the end", run).await.expect("no panic").expect("a drain");
    assert_eq!(rig.counts(&url).await, (1, 0));
    assert_eq!(received(&rig, &url).await, [("late".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn a_run_tells_at_its_end_what_was_not_deleted() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let id = rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::DeleteMessageBatch, 1, Fault::Refused("InvalidAddress"));
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        rig.read(&url).runner().with_graceful_shutdown(seen.enough()).run(move |message| {
            seen.add(message.body(), 1);
            async { Ok::<_, String>(()) }
        })
    };
    let error = soon("the end", run).await.expect_err("it isn't deleted");
    let Error::NotDeleted { count, messages, .. } = error else { panic!("{error:?}") };
    assert_eq!((count, messages.len(), &*messages[0].message_id), (1, 1, &*id));
}

/// What can't be deleted in time is told, and not passed over.
#[tokio::test]
async fn a_deletion_that_takes_too_long_is_told_as_well() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let id = rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::DeleteMessageBatch, usize::MAX, Fault::Delayed(PATIENCE * 10));
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        rig.read(&url).runner().with_graceful_shutdown(seen.enough()).run(move |message| {
            seen.add(message.body(), 1);
            async { Ok::<_, String>(()) }
        })
    };
    let error = soon("the end", run).await.expect_err("nobody answers");
    let Error::NotDeleted { count, messages, .. } = error else { panic!("{error:?}") };
    assert_eq!((count, &*messages[0].message_id), (1, &*id));
}

#[tokio::test]
async fn who_is_stopped_before_he_begins_receives_nothing() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let run = rig.read(&url).runner().with_graceful_shutdown(async {});
    soon("the end", run.run(|_| async { Ok::<_, String>(()) })).await.expect("it was told to stop");
    assert_eq!(rig.counts(&url).await, (1, 0));
    let received = soon("a message", rig.read(&url).receive()).await.expect("an answer");
    assert_eq!(received[0].receive_count(), Some(1), "it was received before");
}

/// A peer may vanish after it has taken a request.
#[tokio::test]
async fn a_poll_that_is_never_answered_is_given_up() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let fault = Fault::Delayed(Duration::from_secs(3_600));
    rig.sqs().fail_next(Operation::ReceiveMessage, 1, fault);
    rig.send(&url, "one book").await;
    let queue = rig.read(&url);
    let received = soon("a message", async {
        loop {
            // As somebody who has other things to do, and comes back.
            let receiving = tokio::time::timeout(Duration::from_millis(500), queue.receive());
            match receiving.await {
                Ok(Ok(received)) if !received.is_empty() => return received,
                Ok(Err(error)) => assert!(error.is_transient(), "{error}"),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    });
    assert_eq!(received.await.len(), 1);
}
