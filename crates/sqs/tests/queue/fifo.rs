//! Messages of a FIFO queue: the order of their groups, whatever fails.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughline_sqs::{Error, Message, OwnedMessage};
use throughline_testing::embedded::sqs::{Fault, Operation};
use tokio::sync::Barrier;

use crate::common::{Rig, Seen, name, soon};

#[tokio::test]
async fn groups_keep_their_order_when_one_of_them_fails() {
    const EACH: usize = 5;
    let rig = Rig::new();
    let url = rig.fifo().await;
    for number in 0..EACH {
        for group in ["a", "b"] {
            rig.send_in_group(&url, group, &format!("{group}{number}")).await;
        }
    }
    let (seen, failures) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let run = {
        let seen = seen.clone();
        let runner = rig.read(&url).runner().concurrency(20);
        runner.with_graceful_shutdown(seen.enough()).run(move |message: OwnedMessage| {
            let (seen, failures) = (seen.clone(), Arc::clone(&failures));
            async move {
                tokio::task::yield_now().await;
                if message.body() == "a1" && failures.fetch_add(1, SeqCst) < 2 {
                    return Err("out of stock");
                }
                seen.add(message.body(), 2 * EACH);
                Ok(())
            }
        })
    };
    soon("the end", run).await.expect("a drain");
    assert_eq!(rig.counts(&url).await, (0, 0));
    for group in ["a", "b"] {
        let seen = seen.all();
        let seen: Vec<_> = seen.iter().filter(|body| body.starts_with(group)).collect();
        let wanted: Vec<_> = (0..EACH).map(|number| format!("{group}{number}")).collect();
        assert_eq!(seen, wanted.iter().collect::<Vec<_>>());
    }
    let name = name(&url);
    let failed = rig.spans("process ").into_iter();
    let failed = failed
        .filter(|it| matches!(it.status, throughline_testing::lineage::Status::Error(_)))
        .count();
    assert_eq!((failed, rig.spans(&format!("process {name}")).len()), (2, 2 * EACH + 2));
}

/// SQS counts a receive for all that is given back: what is behind a poison message must not be
/// received with it, or it is dead as well.
#[tokio::test]
async fn behind_a_poison_message_its_group_lives() {
    let rig = Rig::new();
    let (url, dead) = rig.with_dead_letters(true, 3).await;
    for number in 0..6 {
        rig.send_in_group(&url, "a", &format!("a{number}")).await;
    }
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        let runner = rig.read(&url).runner().concurrency(8);
        runner.with_graceful_shutdown(seen.enough()).run(move |message: OwnedMessage| {
            seen.add(&format!("{} {:?}", message.body(), message.receive_count()), 8);
            async move { if message.body() == "a0" { Err("out of paper") } else { Ok(()) } }
        })
    };
    soon("the end", run).await.expect("a drain");
    let poison = (1..=3).map(|count| format!("a0 Some({count})"));
    let others = (1..6).map(|number| format!("a{number} Some(1)"));
    assert_eq!(seen.all(), poison.chain(others).collect::<Vec<_>>());
    assert_eq!((rig.counts(&url).await, rig.counts(&dead).await), ((0, 0), (1, 0)));
}

/// One message at once is received by each poll, and there are as many polls as handlers.
#[tokio::test]
async fn groups_are_handled_side_by_side() {
    const GROUPS: usize = 4;
    let rig = Rig::new();
    let url = rig.fifo().await;
    for number in 0..2 {
        for group in ["a", "b", "c", "d"] {
            rig.send_in_group(&url, group, &format!("{group}{number}")).await;
        }
    }
    let (barrier, seen) = (Arc::new(Barrier::new(GROUPS)), Seen::default());
    let run = {
        let seen = seen.clone();
        let runner = rig.read(&url).runner().concurrency(GROUPS);
        runner.with_graceful_shutdown(seen.enough()).run(move |message| {
            let (barrier, seen) = (Arc::clone(&barrier), seen.clone());
            async move {
                barrier.wait().await;
                seen.add(message.body(), 2 * GROUPS);
                Ok::<_, String>(())
            }
        })
    };
    soon("four at once, twice", run).await.expect("a drain");
    assert_eq!(rig.counts(&url).await, (0, 0));
}

/// Whoever only logs a failure, and goes on with the next.
#[tokio::test]
async fn a_loop_by_hand_keeps_the_order_as_well() {
    let rig = Rig::new();
    let (url, dead) = rig.with_dead_letters(true, 2).await;
    for number in 0..3 {
        rig.send_in_group(&url, "a", &format!("a{number}")).await;
    }
    let (queue, mut seen) = (rig.read(&url), Vec::new());
    soon("all of them", async {
        while seen.len() < 4 {
            for delivery in queue.receive().await.expect("an answer") {
                let handler = async |message: Message<'_>| {
                    seen.push(message.body().to_owned());
                    if message.body() == "a0" { Err("out of paper") } else { Ok(()) }
                };
                if let Err(error) = delivery.process(handler).await {
                    eprintln!("a message failed: {error}");
                }
            }
        }
    })
    .await;
    queue.flush().await.expect("they are deleted");
    assert_eq!(seen, ["a0", "a0", "a1", "a2"]);
    assert_eq!((rig.counts(&url).await, rig.counts(&dead).await), ((0, 0), (1, 0)));
}

/// Handled isn't enough: what can't be deleted comes again, and what is behind it must come later.
#[tokio::test]
async fn nothing_overtakes_what_is_not_deleted() {
    let rig = Rig::embedded();
    let url = rig.fifo().await;
    for number in 0..3 {
        rig.send_in_group(&url, "a", &format!("a{number}")).await;
    }
    rig.sqs().fail_next(Operation::DeleteMessageBatch, 1, Fault::Refused("InvalidAddress"));
    let (order, seen) = (Arc::<Mutex<Vec<String>>>::default(), Seen::default());
    let run = {
        let (order, seen) = (Arc::clone(&order), seen.clone());
        // All in one receive.
        let runner = rig.read(&url).max_messages(10).runner().concurrency(8);
        runner.with_graceful_shutdown(seen.enough()).run(move |message| {
            order.lock().expect("a lock").push(message.body().to_owned());
            seen.add(message.body(), 4);
            async { Ok::<_, String>(()) }
        })
    };
    let run = tokio::spawn(run);
    // The first is hidden for the visibility timeout, and the others are given back.
    rig.wait_counts(&url, (2, 1)).await;
    rig.pass(Duration::from_secs(31)).await;
    let error = soon("the end", run).await.expect("no panic").expect_err("one was not deleted");
    assert!(matches!(error, Error::NotDeleted { count: 1, .. }), "{error:?}");
    assert_eq!(*order.lock().expect("a lock"), ["a0", "a0", "a1", "a2"]);
    assert_eq!(rig.counts(&url).await, (0, 0));
}
