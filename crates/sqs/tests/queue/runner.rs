//! The loop: how much at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use throughline_testing::embedded::sqs::Operation;
use tokio::sync::{Barrier, Semaphore, watch};

use crate::common::{PATIENCE, Rig, Seen, name, soon, text};

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
    let log = crate::log::Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
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
    let told = log.lines("WARN", "a message failed");
    let says = |part| told.iter().filter(|line| line.contains(part)).count();
    assert_eq!((told.len(), says("out of stock")), (2, 1), "{told:?}");
    assert_eq!(says("its handler panicked: out of paper"), 1, "{told:?}");
}

/// Not even by the SDK's own type.
#[tokio::test]
async fn nobody_but_the_queue_can_delete_what_is_handled() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let seen = Seen::default();
    let run = {
        let seen = seen.clone();
        rig.read(&url).runner().with_graceful_shutdown(seen.enough()).run(move |message| {
            let message = message.clone().into_untraced();
            seen.add(&format!("{:?} {:?}", message.body(), message.receipt_handle()), 1);
            async { Ok::<_, String>(()) }
        })
    };
    soon("the end", run).await.expect("a drain");
    assert_eq!(seen.all(), [r#"Some("one book") None"#]);
    assert_eq!(rig.counts(&url).await, (0, 0));
}

/// All three are in flight when one of them panics.
#[tokio::test]
async fn those_beside_a_panic_go_on() {
    /// Tells when it is dropped: a panic is over then.
    struct Over(watch::Sender<bool>);

    impl Drop for Over {
        fn drop(&mut self) {
            self.0.send_replace(true);
        }
    }

    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    for body in ["panics", "one", "two"] {
        rig.send(&url, body).await;
    }
    let (barrier, seen, over) =
        (Arc::new(Barrier::new(3)), Seen::default(), watch::Sender::new(false));
    let run = {
        let seen = seen.clone();
        let queue = rig.read(&url).backoff(PATIENCE, PATIENCE);
        let runner = queue.runner().concurrency(3).with_graceful_shutdown(seen.enough());
        runner.run(move |message| {
            let (barrier, seen, over) = (Arc::clone(&barrier), seen.clone(), over.clone());
            async move {
                barrier.wait().await;
                if message.body() == "panics" {
                    let _over = Over(over);
                    panic!("out of paper");
                }
                over.subscribe().wait_for(|is_over| *is_over).await.expect("it ends");
                seen.add(message.body(), 2);
                Ok::<_, String>(())
            }
        })
    };
    soon("the end", run).await.expect("a drain");
    let mut seen = seen.all();
    seen.sort_unstable();
    assert_eq!((seen, rig.counts(&url).await), (vec!["one".to_owned(), "two".to_owned()], (0, 1)));
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
    let barrier = Arc::new(Barrier::new(3));
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
