//! Who may have a message, and when.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use crate::common::{Rig, bodies, handle, refused, soon};

#[tokio::test]
async fn a_message_is_hidden_until_its_time_is_up() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::VisibilityTimeout, "2")]).await;
    rig.send(&queue, "one book").await;
    let first = rig.receive_one(&queue).await;
    assert!(rig.receive(&queue).await.is_empty());
    assert_eq!(rig.counts(&queue).await, ["0", "1", "0"]);
    rig.pass(2).await;
    assert_eq!(rig.counts(&queue).await, ["1", "0", "0"]);
    let second = rig.receive_one(&queue).await;
    assert_eq!(first.message_id(), second.message_id());
    assert_ne!(handle(&first), handle(&second));
    // The older receipt is accepted, and deletes nothing.
    let old = rig.delete(&queue, handle(&first)).await;
    let refusal = Err("ReceiptHandleIsInvalid".to_owned());
    assert_eq!(old, rig.differs("delete by an old receipt", Ok(()), refusal));
    assert_eq!(rig.counts(&queue).await, ["0", "1", "0"]);
    rig.delete(&queue, handle(&second)).await.expect("an answer");
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_receiver_chooses_for_how_long_and_changes_it() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    rig.send(&queue, "one book").await;
    let receive = async |timeout| {
        let asked = rig.client.receive_message().queue_url(&queue).visibility_timeout(timeout);
        asked.send().await.expect("an answer").messages.unwrap_or_default()
    };
    // Not at all.
    assert_eq!(receive(0).await.len(), 1);
    let messages = receive(1).await;
    // Counted from now on, not added.
    rig.hide(&queue, handle(&messages[0]), 3).await.expect("it is hidden for longer");
    rig.pass(1).await;
    assert!(receive(1).await.is_empty());
    rig.pass(2).await;
    let messages = receive(30).await;
    // Given back.
    rig.hide(&queue, handle(&messages[0]), 0).await.expect("it is given back");
    assert_eq!(rig.counts(&queue).await, ["1", "0", "0"]);
    assert_eq!(receive(30).await.len(), 1);
}

#[tokio::test]
async fn a_poll_ends_with_the_first_message() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::ReceiveMessageWaitTimeSeconds, "20")]).await;
    // The queue's wait, and the receiver's own.
    for wait in [None, Some(20)] {
        let asked = rig.client.receive_message().queue_url(&queue).set_wait_time_seconds(wait);
        let polled = async { asked.send().await.expect("an answer").messages.unwrap_or_default() };
        let started = Instant::now();
        let (messages, _) =
            soon("a message", async { tokio::join!(polled, rig.send(&queue, "one book")) }).await;
        assert_eq!(bodies(&messages), ["one book"]);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_poll_ends_when_a_message_is_visible_again() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    rig.send(&queue, "one book").await;
    rig.receive_one(&queue).await;
    let asked = rig.client.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    let messages = soon("a message", asked).await.expect("an answer").messages;
    assert_eq!(bodies(&messages.unwrap_or_default()), ["one book"]);
}

#[tokio::test]
async fn a_poll_without_a_message_ends_when_its_time_is_up() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let started = Instant::now();
    let asked = rig.client.receive_message().queue_url(&queue).wait_time_seconds(1);
    let messages = asked.send().await.expect("an answer").messages;
    assert_eq!(messages, rig.differs("an empty receive", None, Some(Vec::new())));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_message_is_delayed_by_its_sender_or_its_queue() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::DelaySeconds, "3")]).await;
    let send = |delay| {
        let sent = rig.client.send_message().queue_url(&queue).set_delay_seconds(delay);
        sent.message_body(format!("{delay:?}")).send()
    };
    send(None).await.expect("it is sent");
    send(Some(1)).await.expect("it is sent");
    send(Some(0)).await.expect("it is sent");
    assert_eq!(rig.counts(&queue).await, ["1", "0", "2"]);
    assert_eq!(bodies(&rig.receive(&queue).await), ["Some(0)"]);
    rig.pass(1).await;
    assert_eq!(bodies(&rig.receive(&queue).await), ["Some(1)"]);
    rig.pass(2).await;
    assert_eq!(bodies(&rig.receive(&queue).await), ["None"]);
}

#[tokio::test]
async fn what_is_no_receipt_is_refused() {
    let rig = Rig::new();
    let (queue, other) = (rig.queue(&[]).await, rig.queue(&[]).await);
    rig.send(&other, "one book").await;
    let others = rig.receive_one(&other).await;
    for handle in ["", "nonsense", "AAAA", handle(&others)] {
        let refusal = Err("ReceiptHandleIsInvalid".to_owned());
        assert_eq!(rig.delete(&queue, handle).await, refusal, "{handle}");
        assert_eq!(rig.hide(&queue, handle, 1).await, refusal, "{handle}");
    }
}

#[tokio::test]
async fn only_what_is_in_flight_is_hidden_for_longer() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    rig.send(&queue, "one book").await;
    let message = rig.receive_one(&queue).await;
    rig.pass(1).await;
    let late = rig.hide(&queue, handle(&message), 0).await;
    let refusal = Err("MessageNotInflight".to_owned());
    assert_eq!(late, rig.differs("hide what isn't in flight", refusal, Ok(())));
    rig.delete(&queue, handle(&message)).await.expect("its last receipt still deletes it");
    let gone = rig.hide(&queue, handle(&message), 5).await.expect_err("it is gone");
    let expected = ("InvalidParameterValue", "ReceiptHandleIsInvalid");
    assert_eq!(gone, rig.differs("hide what is deleted", expected.0, expected.1));
}

#[tokio::test]
async fn nothing_is_hidden_for_more_than_twelve_hours() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    rig.send(&queue, "one book").await;
    let message = rig.receive_one(&queue).await;
    let refusal = Err("InvalidParameterValue".to_owned());
    let refusal = rig.differs("visibility timeouts above 12 hours or below 0", refusal, Ok(()));
    assert_eq!(rig.hide(&queue, handle(&message), 43_201).await, refusal);
    rig.pass(2).await;
    // Counted from when it was received.
    assert_eq!(rig.hide(&queue, handle(&message), 43_200).await, refusal);
    rig.hide(&queue, handle(&message), 43_000).await.expect("it is hidden");
    assert_eq!(rig.hide(&queue, handle(&message), -1).await, refusal);
}

#[tokio::test]
async fn the_bounds_of_a_receive_are_kept() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let asked = || rig.client.receive_message().queue_url(&queue);
    let expected = ("InvalidParameterValue", "InvalidAttributeValue");
    let expected = rig.differs("bounds of `ReceiveMessage`", expected.0, expected.1);
    for count in [0, 11, -1] {
        let answer = asked().max_number_of_messages(count).send().await;
        assert_eq!(refused(answer), expected, "{count} messages");
    }
    for wait in [-1, 21] {
        let answer = asked().wait_time_seconds(wait).send().await;
        assert_eq!(refused(answer), expected, "wait of {wait}");
    }
    let row = "visibility timeouts above 12 hours or below 0";
    let expected = rig.differs(row, "InvalidParameterValue", "nothing");
    for timeout in [-1, 43_201] {
        let answer = asked().visibility_timeout(timeout).send().await;
        assert_eq!(refused(answer), expected, "timeout of {timeout}");
    }
    let unknown = MessageSystemAttributeName::from("Unheard");
    let answer = asked().message_system_attribute_names(unknown).send().await;
    let expected = rig.differs("unknown names of attributes", "InvalidAttributeName", "nothing");
    assert_eq!(refused(answer), expected);
}
