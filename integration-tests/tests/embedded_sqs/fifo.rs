//! Queues in which order matters, and nothing comes twice.

use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{
    MessageSystemAttributeName as System, QueueAttributeName as Name, SendMessageBatchRequestEntry,
};

use crate::common::{Rig, bodies, code, handle, name, refused};

async fn send(rig: &Rig, queue: &str, group: &str, body: &str) -> SendMessageOutput {
    let sent = rig.client.send_message().queue_url(queue).message_body(body);
    let sent = sent.message_group_id(group).message_deduplication_id(body);
    sent.send().await.expect("it is sent")
}

#[tokio::test]
async fn a_group_is_in_order_and_locked_while_one_of_it_is_in_flight() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::VisibilityTimeout, "2")]).await;
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3")] {
        send(&rig, &queue, group, body).await;
    }
    let one = async || {
        let asked = rig.client.receive_message().queue_url(&queue).send().await;
        asked.expect("an answer").messages.unwrap_or_default()
    };
    let a1 = one().await;
    assert_eq!(bodies(&a1), ["a1"]);
    // Its group waits, and no other.
    assert_eq!(bodies(&rig.receive(&queue).await), ["b1"]);
    assert!(one().await.is_empty());
    // Once it is deleted, the next ones come, several in one answer.
    rig.delete(&queue, handle(&a1[0])).await.expect("it is deleted");
    let rest = rig.receive(&queue).await;
    assert_eq!(bodies(&rest), ["a2", "a3"]);
    // One of two given back keeps its place, and waits for the other.
    rig.hide(&queue, handle(&rest[0]), 0).await.expect("it is given back");
    let row = "a group of which one message is given back and another isn't";
    let expected = rig.differs(row, &[][..], &["a2"]);
    assert_eq!(bodies(&one().await), expected);
    rig.hide(&queue, handle(&rest[1]), 0).await.expect("it is given back");
    let expected = rig.differs(row, &["a2"][..], &[]);
    assert_eq!(bodies(&one().await), expected);
    // What isn't deleted in time comes again, before what is behind it.
    rig.pass(2).await;
    let rest = rig.receive(&queue).await;
    let (a, b): (Vec<_>, Vec<_>) = bodies(&rest).into_iter().partition(|b| b.starts_with('a'));
    assert_eq!((a, b), (vec!["a2", "a3"], vec!["b1"]));
}

#[tokio::test]
async fn what_was_sent_already_is_accepted_and_not_delivered() {
    let rig = Rig::new();
    let queue = rig.fifo(&[]).await;
    let first = send(&rig, &queue, "a", "1").await;
    let again = send(&rig, &queue, "a", "1").await;
    let second = send(&rig, &queue, "a", "2").await;
    assert_eq!(first.message_id(), again.message_id());
    assert_eq!(first.sequence_number(), again.sequence_number());
    let number = |sent: &SendMessageOutput| {
        sent.sequence_number().expect("a sequence number").parse::<u128>().expect("a number")
    };
    assert!(number(&second) > number(&first));
    let messages = rig.receive(&queue).await;
    assert_eq!(bodies(&messages), ["1", "2"]);
    // It is remembered though it is deleted.
    for message in &messages {
        rig.delete(&queue, handle(message)).await.expect("it is deleted");
    }
    send(&rig, &queue, "a", "1").await;
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_body_may_tell_that_it_was_sent_already() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::ContentBasedDeduplication, "true")]).await;
    let send = || rig.client.send_message().queue_url(&queue).message_group_id("a");
    for body in ["one book", "one book", "two books"] {
        send().message_body(body).send().await.expect("it is sent");
    }
    // Its own id counts more.
    let own = send().message_body("one book").message_deduplication_id("other");
    own.send().await.expect("it is sent");
    let asked = rig.client.receive_message().queue_url(&queue).max_number_of_messages(10);
    let asked = asked.message_system_attribute_names(System::All).send().await;
    let messages = asked.expect("an answer").messages.expect("messages");
    assert_eq!(bodies(&messages), ["one book", "two books", "one book"]);
    let attributes = messages[0].attributes().expect("attributes");
    assert_eq!(attributes[&System::MessageGroupId], "a");
    // By sha256sum.
    assert_eq!(attributes[&System::MessageDeduplicationId], SHA_256);
    assert!(attributes.contains_key(&System::SequenceNumber));
    let attributes = messages[2].attributes().expect("attributes");
    assert_eq!(attributes[&System::MessageDeduplicationId], "other");
}

const SHA_256: &str = "1ec1be0ef8edc8b81f7c4feae23ae975c223cfb912ea3b9ab779a6f863850031";

#[tokio::test]
async fn a_message_needs_a_group_and_something_to_be_told_by() {
    let rig = Rig::new();
    let queue = rig.fifo(&[]).await;
    let send = || rig.client.send_message().queue_url(&queue).message_body("x");
    assert_eq!(refused(send().message_deduplication_id("1").send().await), "MissingParameter");
    assert_eq!(refused(send().message_group_id("a").send().await), "InvalidParameterValue");
    let longest = "x".repeat(128);
    let good = send().message_group_id(&longest).message_deduplication_id(&longest);
    assert_eq!(refused(good.send().await), "nothing");
    for wrong in ["", "two words", "ä", &"x".repeat(129)] {
        let group = send().message_group_id(wrong).message_deduplication_id("2");
        assert_eq!(refused(group.send().await), "InvalidParameterValue", "{wrong}");
        let id = send().message_group_id("a").message_deduplication_id(wrong);
        assert_eq!(refused(id.send().await), "InvalidParameterValue", "{wrong}");
    }
    // The queue's delay is that of each message.
    let delayed = send().message_group_id("a").message_deduplication_id("3").delay_seconds(1);
    assert_eq!(refused(delayed.send().await), "InvalidParameterValue");
}

#[tokio::test]
async fn a_receipt_is_worth_nothing_once_its_time_is_up() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::VisibilityTimeout, "1")]).await;
    send(&rig, &queue, "a", "1").await;
    let message = rig.receive_one(&queue).await;
    rig.pass(1).await;
    let refusal = || Err("InvalidParameterValue".to_owned());
    let row = "an expired receipt of a FIFO queue";
    let hidden = rig.hide(&queue, handle(&message), 5).await;
    assert_eq!(hidden, rig.differs(row, refusal(), Ok(())));
    let deleted = rig.delete(&queue, handle(&message)).await;
    assert_eq!(deleted, rig.differs(row, refusal(), Ok(())));
    assert_eq!(rig.counts(&queue).await[0], rig.differs(row, "1", "0"));
}

#[tokio::test]
async fn a_batch_is_in_its_order() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::ContentBasedDeduplication, "true")]).await;
    let entry = |(id, group, body): (&str, Option<&str>, &str)| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
        entry.set_message_group_id(group.map(str::to_owned)).build().expect("an entry")
    };
    let entries = [
        ("1", Some("a"), "1"),
        ("2", Some("a"), "2"),
        ("3", None, "3"),
        ("4", Some("a"), "1"),
        ("5", Some("a"), "5"),
    ];
    let request = rig.client.send_message_batch().queue_url(&queue);
    let sent = request.set_entries(Some(entries.map(entry).into())).send().await;
    let sent = sent.expect("an answer");
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("3", "MissingParameter"));
    let numbers: Vec<_> = sent.successful().iter().map(|sent| sent.sequence_number()).collect();
    assert_eq!(numbers.len(), 4);
    let given = numbers[0].is_some() && numbers[0] != numbers[1] && numbers[0] == numbers[2];
    assert_eq!(given, rig.differs("`SequenceNumber` of the entries of a batch", true, false));
    assert_eq!(bodies(&rig.receive(&queue).await), ["1", "2", "5"]);
}

#[tokio::test]
async fn a_new_delay_is_that_of_what_is_there_already() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::DelaySeconds, "900")]).await;
    send(&rig, &queue, "a", "1").await;
    assert_eq!(rig.counts(&queue).await, ["0", "0", "1"]);
    let change = rig.client.set_queue_attributes().queue_url(&queue);
    change.attributes(Name::DelaySeconds, "0").send().await.expect("it is changed");
    let expected = rig.differs("a new delay of a FIFO queue", ["1", "0", "0"], ["0", "0", "1"]);
    assert_eq!(rig.counts(&queue).await, expected);
}

#[tokio::test]
async fn the_name_says_so() {
    let rig = Rig::new();
    let row = "codes of refused names of queues";
    let expected = rig.differs(row, "InvalidParameterValue", "InvalidAttributeName").to_owned();
    let name = name();
    assert_eq!(rig.create(&name, &[(Name::FifoQueue, "true")]).await, Err(expected.clone()));
    assert_eq!(rig.create(&format!("{name}.fifo"), &[]).await, Err(expected));
    let queue = rig.fifo(&[]).await;
    assert_eq!(rig.attribute(&queue, Name::FifoQueue).await, "true");
    assert_eq!(rig.attribute(&queue, Name::ContentBasedDeduplication).await, "false");
    let plain = rig.queue(&[]).await;
    let change = rig.client.set_queue_attributes().queue_url(&plain);
    let changed = change.attributes(Name::FifoQueue, "true").send().await.map(drop);
    let refusal = Err("InvalidAttributeValue".to_owned());
    let expected = rig.differs("a queue that is made FIFO later", refusal, Ok(()));
    assert_eq!(changed.map_err(|error| code(&error)), expected);
}
