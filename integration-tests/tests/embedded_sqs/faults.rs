//! Errors on demand, which no other server has.

use std::time::{Duration, Instant};

use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use throughline_testing::embedded::sqs::{Fault, MessageState, Operation};

use crate::common::{Rig, handle, name, refused, soon, text};

async fn rig() -> (Rig, String, String) {
    let (rig, name) = (Rig::embedded(), name());
    let url = rig.sqs().create_queue(&name, &[]).expect("a queue");
    (rig, name, url)
}

#[tokio::test]
async fn a_client_tries_again_and_nothing_was_done_before() {
    let (rig, name, url) = rig().await;
    for fault in [Fault::ErrorBefore, Fault::Throttled, Fault::CloseBefore] {
        let before = rig.sqs().requests(Operation::SendMessage);
        rig.sqs().fail_next(Operation::SendMessage, 2, fault.clone());
        rig.send(&url, "one book").await;
        assert_eq!(rig.sqs().requests(Operation::SendMessage), before + 3, "{fault:?}");
    }
    assert_eq!(rig.sqs().messages(&name).expect("the queue").len(), 3);
}

#[tokio::test]
async fn a_client_tries_again_and_makes_a_double() {
    for fault in [Fault::ErrorAfter, Fault::CloseAfter] {
        let (rig, name, url) = rig().await;
        rig.sqs().fail_next(Operation::SendMessage, 1, fault.clone());
        let id = rig.send(&url, "one book").await;
        let messages = rig.sqs().messages(&name).expect("the queue");
        let bodies: Vec<_> = messages.iter().map(|message| &*message.body).collect();
        assert_eq!(bodies, ["one book", "one book"], "{fault:?}");
        // The sender knows of the second only.
        assert_eq!(messages[1].id, id);
    }
}

#[tokio::test]
async fn an_error_that_stays_reaches_the_caller() {
    let (rig, name, url) = rig().await;
    let send = || rig.client.send_message().queue_url(&url).message_body("x").send();
    for (fault, code) in [
        (Fault::ErrorBefore, "InternalFailure"),
        (Fault::Throttled, "RequestThrottled"),
        (Fault::CloseBefore, "no code"),
    ] {
        // An SDK tries three times.
        rig.sqs().fail_next(Operation::SendMessage, 3, fault.clone());
        let error = send().await.expect_err("it fails");
        let is_closed = matches!(error, SdkError::DispatchFailure(_));
        assert_eq!(is_closed, fault == Fault::CloseBefore, "{error:?}");
        assert_eq!(refused(Err::<(), _>(error)), code);
    }
    assert!(rig.sqs().messages(&name).expect("the queue").is_empty());
    assert_eq!(refused(send().await), "nothing");
}

#[tokio::test]
async fn it_fails_until_it_is_told_not_to() {
    let (rig, _, url) = rig().await;
    let send = || rig.client.send_message().queue_url(&url).message_body("x").send();
    rig.sqs().fail_next(Operation::SendMessage, 0, Fault::ErrorBefore);
    assert_eq!(refused(send().await), "nothing");
    rig.sqs().fail_next(Operation::SendMessage, 1, Fault::Throttled);
    rig.sqs().fail_next(Operation::SendMessage, usize::MAX, Fault::ErrorBefore);
    for _ in 0..3 {
        assert_eq!(refused(send().await), "InternalFailure");
    }
    rig.sqs().fail_no_more();
    assert_eq!(refused(send().await), "nothing");
    assert_eq!(rig.sqs().requests(Operation::SendMessage), 11);
}

#[tokio::test]
async fn a_receive_whose_answer_is_lost_costs_a_visibility_timeout() {
    let (rig, name, url) = rig().await;
    rig.send(&url, "one book").await;
    rig.sqs().fail_next(Operation::ReceiveMessage, 1, Fault::CloseAfter);
    // The client tries again by itself, and finds nothing.
    assert!(rig.receive(&url).await.is_empty());
    assert_eq!(rig.sqs().requests(Operation::ReceiveMessage), 2);
    assert_eq!(rig.sqs().in_flight(&name).expect("the queue"), 1);
    rig.pass(30).await;
    assert_eq!(rig.sqs().in_flight(&name).expect("the queue"), 0);
    rig.receive_one(&url).await;
}

#[tokio::test]
async fn only_what_was_named_fails() {
    let (rig, _, url) = rig().await;
    rig.sqs().fail_next(Operation::DeleteMessage, 3, Fault::ErrorBefore);
    rig.send(&url, "one book").await;
    let message = rig.receive_one(&url).await;
    assert_eq!(rig.delete(&url, handle(&message)).await, Err("InternalFailure".to_owned()));
    assert_eq!(rig.delete(&url, handle(&message)).await, Ok(()));
}

#[tokio::test]
async fn an_entry_of_a_batch_fails_by_no_fault_of_its_sender() {
    let (rig, name, url) = rig().await;
    rig.sqs().fail_next(Operation::SendMessageBatch, 1, Fault::FailEntry(1));
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(id).build();
    let entries = ["a", "b", "c"].map(|id| entry(id).expect("an entry"));
    let request = rig.client.send_message_batch().queue_url(&url);
    let sent = request.set_entries(Some(entries.into())).send().await.expect("an answer");
    let failed: Vec<_> =
        sent.failed().iter().map(|f| (f.id(), f.code(), f.sender_fault())).collect();
    assert_eq!(failed, [("b", "InternalFailure", false)]);
    assert_eq!(sent.successful().len(), 2);
    assert_eq!(rig.sqs().messages(&name).expect("the queue").len(), 2);
}

#[tokio::test]
async fn an_answer_comes_later_by_the_servers_clock() {
    let (rig, name, url) = rig().await;
    rig.sqs().fail_next(Operation::SendMessage, 1, Fault::Delayed(Duration::from_secs(3600)));
    let started = Instant::now();
    let sent = rig.send(&url, "one book");
    let hasten = async {
        while rig.sqs().messages(&name).expect("the queue").is_empty() {
            tokio::task::yield_now().await;
        }
        rig.sqs().advance(Duration::from_secs(3600));
    };
    soon("the answer", async { tokio::join!(sent, hasten) }).await;
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(rig.sqs().requests(Operation::SendMessage), 1);
}

#[tokio::test]
async fn a_message_is_looked_at_and_not_received() {
    let (rig, name, url) = rig().await;
    let sent = rig.client.send_message().queue_url(&url).message_body("one book");
    let sent = sent.message_attributes("traceparent", text("00-1")).message_group_id("tenant");
    sent.send().await.expect("it is sent");
    let late = rig.client.send_message().queue_url(&url).message_body("late").delay_seconds(9);
    late.send().await.expect("it is sent");
    let look = || rig.sqs().messages(&name).expect("the queue");
    let states = || look().iter().map(|message| message.state).collect::<Vec<_>>();
    assert_eq!(states(), [MessageState::Visible, MessageState::Delayed]);
    let message = &look()[0];
    assert_eq!((&*message.body, message.received), ("one book", 0));
    assert_eq!(message.attribute("traceparent"), Some("00-1"));
    assert_eq!(message.attribute("tracestate"), None);
    assert_eq!((message.group.as_deref(), &message.trace_header), (Some("tenant"), &None));
    rig.receive_one(&url).await;
    assert_eq!(states(), [MessageState::InFlight, MessageState::Delayed]);
    assert_eq!(rig.sqs().in_flight(&name).expect("the queue"), 1);
    assert_eq!(look()[0].received, 1);
}
