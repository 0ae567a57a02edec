//! Up to ten at once, each for itself.

use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    ChangeMessageVisibilityBatchResultEntry as Hidden, DeleteMessageBatchRequestEntry,
    DeleteMessageBatchResultEntry as Deleted, SendMessageBatchRequestEntry,
    SendMessageBatchResultEntry as Sent,
};

use crate::common::{Rig, bodies, code, handle, text};

const HALF: usize = 512 * 1024;

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("an entry")
}

async fn send(
    rig: &Rig,
    queue: &str,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<SendMessageBatchOutput, String> {
    let request = rig.client.send_message_batch().queue_url(queue).set_entries(Some(entries));
    request.send().await.map_err(|error| code(&error))
}

#[tokio::test]
async fn a_batch_is_sent_as_its_messages_are() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let mut entries: Vec<_> = (0..10).map(|n| entry(&format!("{n}"), &format!("{n}"))).collect();
    let attributes = [("traceparent".to_owned(), text("00-1"))];
    entries[3].message_attributes = Some(attributes.into());
    let sent = send(&rig, &queue, entries).await.expect("it is sent");
    assert!(sent.failed().is_empty());
    let ids: Vec<_> = sent.successful().iter().map(Sent::id).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let fourth = &sent.successful()[3];
    assert_eq!(fourth.md5_of_message_body(), "eccbc87e4b5ce2fe28308fd9f2a7baf3");
    assert_eq!(fourth.md5_of_message_attributes(), Some("d4bddbafc0719b646e6cf44fef9634b4"));
    assert_eq!(sent.successful()[4].md5_of_message_attributes(), None);
    let messages = rig.receive(&queue).await;
    assert_eq!(messages.len(), 10);
    for message in messages {
        let place: usize = message.body().expect("a body").parse().expect("a number");
        assert_eq!(message.message_id(), Some(sent.successful()[place].message_id()));
    }
}

#[tokio::test]
async fn an_entry_that_is_refused_stops_no_other() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let mut delayed = entry("delayed", "x");
    delayed.delay_seconds = Some(901);
    let entries = vec![entry("good", "x"), entry("bad", "\u{1}"), delayed, entry("last", "y")];
    let sent = send(&rig, &queue, entries).await.expect("an answer");
    let good: Vec<_> = sent.successful().iter().map(Sent::id).collect();
    assert_eq!(good, ["good", "last"]);
    let mut failed: Vec<_> = sent.failed().iter().map(|e| (e.id(), e.code())).collect();
    failed.sort_unstable();
    let contents = ("InvalidMessageContents", "InvalidAttributeValue");
    let contents = rig.differs("codes of refused messages", contents.0, contents.1);
    assert_eq!(failed, [("bad", contents), ("delayed", "InvalidParameterValue")]);
    assert!(sent.failed().iter().all(BatchResultErrorEntry::sender_fault));
    assert_eq!(bodies(&rig.receive(&queue).await), ["x", "y"]);
}

#[tokio::test]
async fn a_batch_has_one_to_ten_entries() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let entries = |count| (0..count).map(|n| entry(&format!("{n}"), "x")).collect();
    let none = send(&rig, &queue, entries(0)).await.map(|sent| sent.successful.len());
    let refusal = Err("EmptyBatchRequest".to_owned());
    assert_eq!(none, rig.differs("an empty batch", refusal, Ok(0)));
    let eleven = send(&rig, &queue, entries(11)).await.map(drop);
    assert_eq!(eleven, Err("TooManyEntriesInBatchRequest".to_owned()));
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn the_ids_of_a_batch_are_distinct_and_have_their_grammar() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let twice = send(&rig, &queue, vec![entry("a", "x"), entry("a", "y")]).await.map(drop);
    assert_eq!(twice, Err("BatchEntryIdsNotDistinct".to_owned()));
    let longest = "x".repeat(80);
    send(&rig, &queue, vec![entry("a-B_9", "x"), entry(&longest, "x")]).await.expect("it is sent");
    for id in ["", "two words", "a.b", "ä", &"x".repeat(81)] {
        let sent = send(&rig, &queue, vec![entry(id, "x")]).await.map(drop);
        let refusal = Err("InvalidBatchEntryId".to_owned());
        assert_eq!(sent, rig.differs("ids of batch entries", refusal, Ok(())), "{id}");
    }
}

#[tokio::test]
async fn a_batch_is_as_large_as_a_message_may_be() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let code = ("BatchRequestTooLong", "InvalidAttributeValue");
    let (half, code) = rig.differs("the largest message", (HALF, code.0), (HALF / 4, code.1));
    let body = "x".repeat(half);
    send(&rig, &queue, vec![entry("a", &body), entry("b", &body)]).await.expect("it is sent");
    let longer = vec![entry("a", &body), entry("b", &format!("{body}x"))];
    assert_eq!(send(&rig, &queue, longer).await.map(drop), Err(code.to_owned()));
    // With the attributes.
    let mut with = entry("b", &body);
    with.message_attributes = Some([("a".to_owned(), text("b"))].into());
    let sent = send(&rig, &queue, vec![entry("a", &body), with]).await.map(drop);
    let row = "attributes toward the size of a message";
    assert_eq!(sent, rig.differs(row, Err(code.to_owned()), Ok(())));
    assert_eq!(rig.counts(&queue).await[0], rig.differs(row, "2", "4"));
}

#[tokio::test]
async fn a_batch_is_hidden_and_deleted_as_its_messages_are() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    send(&rig, &queue, vec![entry("a", "a"), entry("b", "b")]).await.expect("it is sent");
    let messages = rig.receive(&queue).await;
    let handles = [handle(&messages[0]), handle(&messages[1]), "nonsense"];
    let hide = |(n, handle): (usize, &&str)| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string());
        entry.receipt_handle(*handle).visibility_timeout(0).build().expect("an entry")
    };
    let request = rig.client.change_message_visibility_batch().queue_url(&queue);
    let request = request.set_entries(Some(handles.iter().enumerate().map(hide).collect()));
    let hidden = request.send().await.expect("an answer");
    let ids: Vec<_> = hidden.successful().iter().map(Hidden::id).collect();
    assert_eq!(ids, ["0", "1"]);
    assert_eq!(
        (hidden.failed()[0].id(), hidden.failed()[0].code()),
        ("2", "ReceiptHandleIsInvalid")
    );
    assert_eq!(rig.counts(&queue).await, ["2", "0", "0"]);

    let messages = rig.receive(&queue).await;
    let handles = [handle(&messages[0]), "nonsense", handle(&messages[1])];
    let delete = |(n, handle): (usize, &&str)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
        entry.receipt_handle(*handle).build().expect("an entry")
    };
    let request = rig.client.delete_message_batch().queue_url(&queue);
    let request = request.set_entries(Some(handles.iter().enumerate().map(delete).collect()));
    let deleted = request.send().await.expect("an answer");
    let ids: Vec<_> = deleted.successful().iter().map(Deleted::id).collect();
    assert_eq!(ids, ["0", "2"]);
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
}
