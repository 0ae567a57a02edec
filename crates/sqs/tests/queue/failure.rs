//! What goes wrong outside: messages that nobody can handle, and SQS itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use throughline_sqs::Error;
use throughline_testing::embedded::sqs::{Fault, Operation};
use tokio::sync::Notify;

use crate::common::{PATIENCE, Rig, TRACEPARENT, name, soon};

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letters_with_its_trace() {
    let rig = Rig::new();
    let (url, dead) = rig.with_dead_letters(false, 2).await;
    rig.send(&url, "poison").await;

    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let run = rig
        .read(&url)
        .runner()
        .with_graceful_shutdown(async move { stopped.notified().await })
        .run(|_| async { Err::<(), _>("out of paper") });
    let run = tokio::spawn(run);
    rig.wait_counts(&dead, (1, 0)).await;
    stop.notify_one();
    soon("the end", run).await.expect("no panic").expect("a drain");
    assert_eq!(rig.counts(&url).await, (0, 0));

    // Whoever reads the dead letters goes on with its trace.
    let queue = rig.read(&dead);
    for delivery in queue.receive().await.expect("an answer") {
        let handler = async |message: throughline_sqs::Message<'_>| {
            assert_eq!(message.attribute("traceparent"), Some(TRACEPARENT));
            Ok::<_, String>(())
        };
        delivery.process(handler).await.expect("it succeeds");
    }
    queue.flush().await.expect("it is deleted");
    let spans = rig.spans("process ");
    let (url, dead) = (name(&url), name(&dead));
    throughline_testing::tree::assert_tree(
        &spans,
        &format!(
            "
            CONSUMER process {url} !error(out of paper) {{error.type=*}}
            CONSUMER process {url} !error(out of paper) {{error.type=*}}
            CONSUMER process {dead}
            "
        ),
    );
    assert!(spans.iter().all(|it| it.trace_id.to_string() == TRACEPARENT[3..35]));
}

#[tokio::test]
async fn a_deletion_that_fails_is_tried_again() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let delete = Operation::DeleteMessageBatch;
    // The SDK's tries, and one of ours; then an entry in an answer of 200.
    rig.sqs().fail_next(delete, 3, Fault::ErrorBefore);
    rig.sqs().fail_next(delete, 1, Fault::FailEntry(0));
    let queue = rig.read(&url);
    for delivery in queue.receive().await.expect("an answer") {
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    soon("the deletion", queue.flush()).await.expect("it is deleted");
    assert_eq!(rig.counts(&url).await, (0, 0));
    assert_eq!(rig.sqs().requests(delete), 5);
}

#[tokio::test]
async fn a_deletion_that_keeps_failing_is_told_and_the_message_comes_again() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let id = rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::DeleteMessageBatch, 8, Fault::FailEntry(0));
    let queue = rig.read(&url);
    for delivery in queue.receive().await.expect("an answer") {
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    let error = soon("the report", queue.flush()).await.expect_err("it isn't deleted");
    let said = error.to_string();
    assert!(said.contains(&url) && said.contains(&id), "{said}");
    let Error::NotDeleted { messages, .. } = error else { panic!("{error:?}") };
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].message_id, id);
    // Told once.
    queue.flush().await.expect("nothing new");

    rig.pass(Duration::from_secs(31)).await;
    let mut received = queue.receive().await.expect("an answer");
    assert_eq!(received[0].receive_count(), Some(2));
    let again = received.remove(0).process(async |_| Ok::<_, String>(())).await;
    again.expect("it succeeds");
    queue.flush().await.expect("it is deleted");
    assert_eq!(rig.counts(&url).await, (0, 0));
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    // Twice the SDK's tries.
    rig.sqs().fail_next(Operation::ReceiveMessage, 3, Fault::CloseBefore);
    rig.sqs().fail_next(Operation::ReceiveMessage, 3, Fault::Throttled);
    let (done, calls) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let run = {
        let (done, told, calls) = (Arc::clone(&done), Arc::clone(&done), Arc::clone(&calls));
        rig.read(&url).runner().with_graceful_shutdown(async move { done.notified().await }).run(
            move |_| {
                calls.fetch_add(1, SeqCst);
                told.notify_one();
                async { Ok::<_, String>(()) }
            },
        )
    };
    soon("the end", run).await.expect("a drain");
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(rig.counts(&url).await, (0, 0));
}

#[tokio::test]
async fn a_queue_that_is_gone_ends_the_run() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.raw.delete_queue().queue_url(&url).send().await.expect("it is deleted");
    let run = rig.read(&url).runner().run(|_| async { Ok::<_, String>(()) });
    let error = soon("the end", run).await.expect_err("there is no queue");
    assert!(matches!(error, Error::QueueDoesNotExist { .. }), "{error:?}");
    assert!(!error.is_transient());
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn what_nobody_answers_may_pass_by_itself() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let queue = throughline_sqs::Queue::new(Rig::at_port(port), "http://127.0.0.1/1/orders");
    let error = tokio::time::timeout(PATIENCE, queue.receive()).await.expect("an answer");
    let error = error.expect_err("nobody listens");
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("orders"), "{error}");
    assert!(!error.to_string().contains("GetQueueUrl"), "{error}");
    // A name in place of the URL.
    let queue = throughline_sqs::Queue::new(Rig::at_port(port), "orders");
    let error = tokio::time::timeout(PATIENCE, queue.receive()).await.expect("an answer");
    let error = error.expect_err("nobody listens");
    assert!(error.to_string().contains("GetQueueUrl"), "{error}");
}

/// A client that is told to give up sooner than a poll has waited would never receive anything.
#[tokio::test]
async fn timeouts_of_the_client_do_not_break_off_polls() {
    use aws_sdk_sqs::config::timeout::TimeoutConfig;

    let short = Duration::from_millis(200);
    let timeouts = || TimeoutConfig::builder();
    for timeouts in [
        timeouts().read_timeout(short),
        timeouts().operation_attempt_timeout(short),
        timeouts().operation_timeout(short),
    ] {
        let rig = Rig::new();
        let url = rig.queue(&[]).await;
        let config = rig.raw.config().to_builder().timeout_config(timeouts.build());
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let queue = rig.read_by(client, &url);
        let received = soon("an answer", queue.receive()).await.expect("no error");
        assert!(received.is_empty());
    }
}

/// What a URL needn't have is used as it is, and shown nowhere.
#[tokio::test]
async fn secrets_in_the_url_of_a_queue_are_not_told() {
    let rig = Rig::embedded();
    let url = rig.sqs().queue_url("nowhere").replace("http://", "http://me:secret@");
    let queue = rig.read(&format!("{url}?key=secret#secret"));
    let error = queue.receive().await.expect_err("there is no such queue");
    let told = format!("{queue:?} {error}");
    assert!(matches!(error, Error::QueueDoesNotExist { .. }), "{told}");
    assert!(told.contains("REDACTED@127.0.0.1") && !told.contains("secret"), "{told}");
    let spans = rig.recorder.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["receive nowhere"]);
    assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
}
