//! Handlers that take longer than the visibility timeout: nobody else gets their messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use throughline_sqs::Runner;
use throughline_testing::embedded::sqs::{Fault, Operation};
use tokio::sync::Notify;

use crate::common::{Rig, name, soon};

const VISIBILITY: Duration = Duration::from_secs(1);

/// As long as a message could be received three times.
const LONG: Duration = Duration::from_millis(3_300);

fn runner(rig: &Rig, url: &str) -> Runner {
    rig.read(url).visibility_timeout(VISIBILITY).runner()
}

/// Runs a handler for a message until it succeeds, and returns how often it was called.
async fn handled<F, Fut>(rig: &Rig, url: &str, concurrency: usize, handler: F) -> usize
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    rig.send(url, "one book").await;
    let calls = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(Notify::new());
    let (counted, told) = (Arc::clone(&calls), Arc::clone(&done));
    let run = runner(rig, url)
        .concurrency(concurrency)
        .with_graceful_shutdown(async move { done.notified().await })
        .run(move |_| {
            counted.fetch_add(1, SeqCst);
            let (handled, told) = (handler(), Arc::clone(&told));
            async move {
                handled.await;
                told.notify_one();
                Ok::<_, String>(())
            }
        });
    soon("the end", run).await.expect("a drain");
    assert_eq!(rig.counts(url).await, (0, 0));
    calls.load(SeqCst)
}

#[tokio::test]
async fn a_handler_may_take_longer_than_the_visibility_timeout() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let calls = handled(&rig, &url, 4, || tokio::time::sleep(LONG)).await;
    assert_eq!(calls, 1);
    let kept = rig.spans(&format!("change_visibility {}", name(&url)));
    assert!((4..=12).contains(&kept.len()), "{} times", kept.len());
}

/// On the only thread of its runtime, on which the connections of its client are served as well: one
/// is free, if nothing else is received meanwhile.
#[tokio::test]
async fn a_handler_may_block_its_thread() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    for concurrency in [1, 4] {
        let block = || async {
            // Until the connection is free on which the message came.
            tokio::time::sleep(Duration::from_millis(50)).await;
            std::thread::sleep(LONG);
        };
        assert_eq!(handled(&rig, &url, concurrency, block).await, 1);
        let kept = rig.spans(&format!("change_visibility {}", name(&url)));
        assert!(kept.len() >= 4, "{} times", kept.len());
        rig.recorder.clear();
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_is_kept_as_well() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    rig.send(&url, "two books").await;
    let queue = rig.read(&url).visibility_timeout(VISIBILITY);
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(queue.receive().await.expect("an answer"));
    }
    tokio::time::sleep(LONG).await;
    assert_eq!(rig.counts(&url).await, (0, 2));
    for delivery in received {
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    queue.flush().await.expect("they are deleted");
    assert_eq!(rig.counts(&url).await, (0, 0));
}

#[tokio::test]
async fn a_handler_that_has_ended_keeps_nothing() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url).visibility_timeout(VISIBILITY);
    let queue = queue.backoff(VISIBILITY, VISIBILITY);
    let mut received = queue.receive().await.expect("an answer");
    let panics = received.remove(0);
    let panics = panics.process(async |_| -> Result<(), String> { panic!("out of paper") });
    assert!(tokio::spawn(panics).await.expect_err("a panic").is_panic());
    queue.flush().await.expect("nothing is left to delete");
    assert_eq!(rig.counts(&url).await, (0, 1));
    // As often as it would be kept.
    tokio::time::sleep(VISIBILITY + Duration::from_millis(200)).await;
    assert_eq!(rig.counts(&url).await, (1, 0));
}

#[tokio::test]
async fn a_heartbeat_that_fails_is_tried_again() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    // As many as the SDK tries for the first.
    let change = Operation::ChangeMessageVisibilityBatch;
    rig.sqs().fail_next(change, 3, Fault::ErrorBefore);
    rig.sqs().fail_next(change, 1, Fault::FailEntry(0));
    let calls = handled(&rig, &url, 4, || tokio::time::sleep(LONG)).await;
    assert_eq!(calls, 1);
}

/// What is no longer there can't be kept: that is told once, and the handler goes on.
#[tokio::test]
async fn a_heartbeat_that_is_refused_is_the_last() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url).visibility_timeout(VISIBILITY);
    let mut received = queue.receive().await.expect("an answer");
    rig.raw.purge_queue().queue_url(&url).send().await.expect("it is empty");
    let handler = async |_: throughline_sqs::Message<'_>| {
        tokio::time::sleep(LONG).await;
        Ok::<_, String>(())
    };
    received.remove(0).process(handler).await.expect("it succeeds");
    assert_eq!(rig.sqs().requests(Operation::ChangeMessageVisibilityBatch), 1);
    queue.flush().await.expect("it is gone");
}
