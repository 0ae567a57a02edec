//! The loop: how much at once, in which order, and how it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughline_sqs::Message;
use throughline_testing::embedded::sqs::Operation;
use tokio::sync::{Notify, Semaphore};

use crate::common::{PATIENCE, Rig, name, soon, text};

/// What handlers have seen, and a signal once that is enough.
#[derive(Clone, Default)]
struct Seen(Arc<(Mutex<Vec<String>>, Notify)>);

impl Seen {
    fn add(&self, body: &str, enough: usize) {
        let mut seen = self.0.0.lock().expect("a lock");
        seen.push(body.to_owned());
        if seen.len() >= enough {
            self.0.1.notify_one();
        }
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().expect("a lock").clone()
    }

    fn enough(&self) -> impl Future<Output = ()> + use<> {
        let this = self.clone();
        async move { this.0.1.notified().await }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_are_handled_once_each_and_no_more_at_once_than_told() {
    const MESSAGES: usize = 1_000;
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let client = rig.traced();
    for batch in 0..MESSAGES / 10 {
        let entries = (0..10).map(|place| {
            let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder();
            let entry = entry.id(place.to_string()).message_body(format!("{}", batch * 10 + place));
            entry.build().expect("an entry")
        });
        let request = client.send_message_batch().queue_url(&url);
        let sent = request.set_entries(Some(entries.collect())).send().await.expect("an answer");
        assert!(sent.failed().is_empty());
    }
    let (seen, running, most) = (Seen::default(), Arc::new(AtomicUsize::new(0)), Arc::default());
    let run = {
        let (seen, running) = (seen.clone(), Arc::clone(&running));
        let most: Arc<AtomicUsize> = Arc::clone(&most);
        rig.read(&url).runner().concurrency(16).with_graceful_shutdown(seen.enough()).run(
            move |message| {
                let (seen, running, most) = (seen.clone(), Arc::clone(&running), Arc::clone(&most));
                async move {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, SeqCst);
                    seen.add(message.body(), MESSAGES);
                    Ok::<_, String>(())
                }
            },
        )
    };
    soon("the end", run).await.expect("a drain");

    assert_eq!(rig.counts(&url).await, (0, 0));
    let mut numbers: Vec<usize> =
        seen.all().iter().map(|body| body.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
    let most = most.load(SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");

    let spans = rig.recorder.spans();
    let created: HashMap<_, _> = spans
        .iter()
        .filter(|span| span.name.starts_with("create "))
        .map(|span| (span.span_id, span.trace_id))
        .collect();
    let mut processed = HashMap::new();
    for span in spans.iter().filter(|span| span.name.starts_with("process ")) {
        let parent = span.parent.expect("a parent");
        assert_eq!(created.get(&parent), Some(&span.trace_id));
        *processed.entry(parent).or_insert(0) += 1;
    }
    assert_eq!(processed.len(), MESSAGES);
    assert!(processed.values().all(|count| *count == 1));
}

#[tokio::test]
async fn no_more_is_received_than_can_be_handled() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    for number in 0..10 {
        rig.send(&url, &number.to_string()).await;
    }
    let (gate, seen) = (Arc::new(Semaphore::new(0)), Seen::default());
    let run = {
        let (gate, seen) = (Arc::clone(&gate), seen.clone());
        rig.read(&url).runner().concurrency(3).with_graceful_shutdown(seen.enough()).run(
            move |message| {
                let (gate, seen) = (Arc::clone(&gate), seen.clone());
                async move {
                    gate.acquire().await.expect("it is open").forget();
                    seen.add(message.body(), 10);
                    Ok::<_, String>(())
                }
            },
        )
    };
    let run = tokio::spawn(run);
    rig.wait_counts(&url, (7, 3)).await;
    // Another one for each that is done, and no more.
    gate.add_permits(2);
    rig.wait_counts(&url, (5, 3)).await;
    gate.add_permits(8);
    soon("the end", run).await.expect("no panic").expect("a drain");
    assert_eq!(rig.counts(&url).await, (0, 0));
}

#[tokio::test]
async fn a_panic_and_an_error_stay_alone() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    for body in ["panics", "fails", "succeeds"] {
        rig.send(&url, body).await;
    }
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        let queue = rig.read(&url).backoff(PATIENCE, PATIENCE);
        // One after the other: the last is begun when the panic is over.
        queue.runner().with_graceful_shutdown(seen.enough()).run(move |message| {
            seen.add(message.body(), 3);
            async move {
                match message.body() {
                    "panics" => panic!("out of paper"),
                    "fails" => Err("out of stock"),
                    _ => Ok(()),
                }
            }
        })
    };
    soon("the end", run).await.expect("a drain");
    assert_eq!(rig.counts(&url).await, (0, 2));
    let name = name(&url);
    throughline_testing::tree::assert_tree(
        &rig.spans("process "),
        &format!(
            "
            CONSUMER process {name}
            CONSUMER process {name} !error(out of stock) {{error.type=*}}
            CONSUMER process {name} !error(the handler panicked) {{error.type=panic}}
            "
        ),
    );
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
    let name = name(&url);
    throughline_testing::tree::assert_tree(
        &rig.spans("process "),
        &format!("CONSUMER process {name}\nCONSUMER process {name} {{error.type=cancelled}}"),
    );
}

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
        runner.with_graceful_shutdown(seen.enough()).run(move |message: Message| {
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

/// Groups of a queue that isn't FIFO are for fairness, and of no order.
#[tokio::test]
async fn groups_of_a_standard_queue_are_handled_side_by_side() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let mut sent = 0;
    for number in 0..3 {
        let request = rig.raw.send_message().queue_url(&url).message_body(number.to_string());
        let request = request.message_attributes("tenant", text("a")).message_group_id("a");
        sent += usize::from(request.send().await.is_ok());
    }
    if sent == 0 {
        // The server knows nothing of fair queues.
        return;
    }
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        rig.read(&url).runner().concurrency(3).with_graceful_shutdown(seen.enough()).run(
            move |message| {
                let (barrier, seen) = (Arc::clone(&barrier), seen.clone());
                async move {
                    barrier.wait().await;
                    seen.add(message.body(), 3);
                    Ok::<_, String>(())
                }
            },
        )
    };
    soon("three at once", run).await.expect("a drain");
    assert!(rig.sqs().requests(Operation::ReceiveMessage) >= 1);
}
