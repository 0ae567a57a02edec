//! Rights that are missing: nothing goes on without them, and the error says which.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use throughline_sqs::Error;
use throughline_testing::embedded::sqs::{Fault, Operation};
use tokio::sync::Semaphore;

use crate::common::{PATIENCE, Rig, soon};

const DENIED: Fault = Fault::Refused("AccessDenied");

#[track_caller]
fn assert_lacks(error: &Error, url: &str, wanted: &str) {
    let Error::AccessDenied { right, .. } = error else { panic!("{error:?}") };
    assert_eq!(*right, wanted);
    assert!(!error.is_transient());
    let said = error.to_string();
    assert!(said.contains(url) && said.contains(wanted), "{said}");
}

#[tokio::test]
async fn to_receive() {
    for (code, right) in [
        ("AccessDenied", "sqs:ReceiveMessage"),
        // Of a queue that is encrypted.
        ("KMS.AccessDeniedException", "kms:Decrypt"),
    ] {
        let rig = Rig::embedded();
        let url = rig.queue(&[]).await;
        rig.sqs().fail_next(Operation::ReceiveMessage, usize::MAX, Fault::Refused(code));
        let run = rig.read(&url).runner().run(|_| async { Ok::<_, String>(()) });
        let error = soon("the end", run).await.expect_err("nothing can be received");
        assert_lacks(&error, &url, right);
    }
}

/// What runs is finished first, and each message is handled once.
#[tokio::test]
async fn to_delete() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    for body in ["quick", "slow"] {
        rig.send(&url, body).await;
    }
    rig.sqs().fail_next(Operation::DeleteMessageBatch, usize::MAX, DENIED);
    let (gate, handled) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let run = {
        let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
        rig.read(&url).runner().concurrency(2).run(move |message| {
            let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
            async move {
                if message.body() == "slow" {
                    gate.acquire().await.expect("it is open").forget();
                }
                handled.fetch_add(1, SeqCst);
                Ok::<_, String>(())
            }
        })
    };
    let run = tokio::spawn(run);
    soon("a deletion", async {
        while rig.sqs().requests(Operation::DeleteMessageBatch) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    gate.add_permits(1);
    let error = soon("the end", run).await.expect("no panic").expect_err("nothing is deleted");
    assert_lacks(&error, &url, "sqs:DeleteMessage");
    assert_eq!(handled.load(SeqCst), 2);
}

#[tokio::test]
async fn to_keep_invisible() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::ChangeMessageVisibilityBatch, usize::MAX, DENIED);
    let handled = Arc::new(AtomicUsize::new(0));
    let run = {
        let handled = Arc::clone(&handled);
        let queue = rig.read(&url).visibility_timeout(Duration::from_secs(1));
        queue.runner().run(move |_| {
            let handled = Arc::clone(&handled);
            async move {
                // Beyond the first heartbeat.
                tokio::time::sleep(Duration::from_millis(600)).await;
                handled.fetch_add(1, SeqCst);
                Ok::<_, String>(())
            }
        })
    };
    let error = soon("the end", run).await.expect_err("nothing is kept");
    assert_lacks(&error, &url, "sqs:ChangeMessageVisibility");
    assert_eq!((handled.load(SeqCst), rig.counts(&url).await), (1, (0, 0)));
}

#[tokio::test]
async fn to_give_back() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::ChangeMessageVisibilityBatch, usize::MAX, DENIED);
    let run = rig.read(&url).runner().run(|_| async { Err::<(), _>("out of stock") });
    let error = soon("the end", run).await.expect_err("nothing is given back");
    assert_lacks(&error, &url, "sqs:ChangeMessageVisibility");
}

/// In a loop by hand the next receive says it, or whoever flushes; then which messages it was.
#[tokio::test]
async fn in_a_loop_by_hand() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let delete = Operation::DeleteMessageBatch;
    rig.sqs().fail_next(delete, usize::MAX, DENIED);
    let queue = rig.read(&url);
    for flushes in [false, true] {
        let id = rig.send(&url, "one book").await;
        for delivery in queue.receive().await.expect("an answer") {
            delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
        }
        let error = if flushes {
            soon("the flush", queue.flush()).await.expect_err("it isn't deleted")
        } else {
            soon("an error", async {
                loop {
                    if let Err(error) = queue.receive().await {
                        return error;
                    }
                }
            })
            .await
        };
        assert_lacks(&error, &url, "sqs:DeleteMessage");
        let error = soon("the flush", queue.flush()).await.expect_err("it isn't deleted");
        let Error::NotDeleted { messages, .. } = error else { panic!("{error:?}") };
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].message_id, id);
        queue.flush().await.expect("nothing new");
    }
}

/// However many they are: who flushes once a month must not need a month's memory.
#[tokio::test]
async fn what_is_not_deleted_is_counted_and_the_first_of_it_kept() {
    const MESSAGES: usize = 130;
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let refused = Fault::Refused("InvalidAddress");
    rig.sqs().fail_next(Operation::DeleteMessageBatch, usize::MAX, refused);
    for number in 0..MESSAGES {
        rig.send(&url, &number.to_string()).await;
    }
    let (queue, mut handled) = (rig.read(&url).visibility_timeout(PATIENCE * 10), 0);
    while handled < MESSAGES {
        for delivery in queue.receive().await.expect("an answer") {
            delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
            handled += 1;
        }
    }
    let error = soon("the flush", queue.flush()).await.expect_err("they aren't deleted");
    let said = error.to_string();
    assert!(said.contains("130 messages") && said.ends_with(", and 120 more"), "{said}");
    let Error::NotDeleted { count, messages, .. } = error else { panic!("{error:?}") };
    assert_eq!((count, messages.len()), (MESSAGES, 100));
}
