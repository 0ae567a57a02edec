//! Sending, receiving, deleting.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName as System,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};

use crate::common::{Rig, handle, refused, text, typed};

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

#[tokio::test]
async fn a_message_comes_as_it_was_sent_and_goes_when_it_is_deleted() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let sent = rig.client.send_message().queue_url(&queue).message_body("one book — 一本");
    let sent = sent.send().await.expect("it is sent");
    // By md5sum.
    assert_eq!(sent.md5_of_message_body(), Some("9a3f8fe21bd96901177c41e4bc33e0f0"));
    assert_eq!((sent.md5_of_message_attributes(), sent.sequence_number()), (None, None));

    let message = rig.receive_one(&queue).await;
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.body(), Some("one book — 一本"));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.attributes(), None);
    assert_eq!(message.message_attributes(), None);
    assert_eq!(rig.counts(&queue).await, ["0", "1", "0"]);

    rig.delete(&queue, handle(&message)).await.expect("it is deleted");
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
    // To delete it once more is no error.
    let again = rig.delete(&queue, handle(&message)).await;
    assert_eq!(again, rig.differs("delete by an old receipt", Ok(()), invalid_receipt()));
    assert!(rig.receive(&queue).await.is_empty());
}

fn invalid_receipt() -> Result<(), String> {
    Err("ReceiptHandleIsInvalid".to_owned())
}

fn binary(bytes: &[u8]) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("Binary");
    attribute.binary_value(Blob::new(bytes)).build().expect("an attribute")
}

/// A queue with one message that has attributes.
async fn with_attributes(rig: &Rig) -> (String, String) {
    let queue = rig.queue(&[]).await;
    let sent = rig.client.send_message().queue_url(&queue).message_body("one book");
    let sent = sent
        .message_attributes("traceparent", text("00-1"))
        .message_attributes("shop.id", typed("Number.int", "42"))
        .message_attributes("shop.key", binary(&[0, 159, 146, 150]))
        .message_attributes("shopping", text("yes"))
        .send()
        .await
        .expect("it is sent");
    (queue, sent.md5_of_message_attributes.expect("a digest"))
}

async fn ask(rig: &Rig, queue: &str, names: &[&str]) -> Message {
    let mut request = rig.client.receive_message().queue_url(queue).visibility_timeout(0);
    for name in names {
        request = request.message_attribute_names(*name);
    }
    let mut messages = request.send().await.expect("an answer").messages.unwrap_or_default();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

fn names(message: &Message) -> Vec<&str> {
    let attributes = message.message_attributes.iter().flatten();
    let mut names: Vec<_> = attributes.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn only_attributes_that_were_asked_for_are_received() {
    let rig = Rig::new();
    let (queue, _) = with_attributes(&rig).await;
    let all = ["shop.id", "shop.key", "shopping", "traceparent"];
    assert_eq!(names(&ask(&rig, &queue, &[]).await), [""; 0]);
    assert_eq!(names(&ask(&rig, &queue, &["All"]).await), all);
    assert_eq!(names(&ask(&rig, &queue, &[".*"]).await), all);
    assert_eq!(names(&ask(&rig, &queue, &["traceparent"]).await), ["traceparent"]);
    let some = ["shop.id", "tracestate", "Traceparent"];
    assert_eq!(names(&ask(&rig, &queue, &some).await), ["shop.id"]);
    let row = "attributes by `prefix.*`";
    let expected = rig.differs(row, &["shop.id", "shop.key", "shopping"][..], &[]);
    assert_eq!(names(&ask(&rig, &queue, &["shop.*"]).await), expected);
    assert_eq!(names(&ask(&rig, &queue, &["trace*", "trac", "all", "*"]).await), [""; 0]);
}

#[tokio::test]
async fn attributes_come_as_they_were_sent_with_a_digest_of_those_that_came() {
    let rig = Rig::new();
    let (queue, digest) = with_attributes(&rig).await;
    // Computed with AWS's description of the digest, in another language.
    assert_eq!(digest, "c5e24abcc7bbe9c5dc8a7c3e4d1fca46");
    let message = ask(&rig, &queue, &["All"]).await;
    assert_eq!(message.md5_of_message_attributes(), Some(&*digest));
    let attributes = message.message_attributes().expect("attributes");
    assert_eq!(attributes["traceparent"], text("00-1"));
    assert_eq!(attributes["shop.id"], typed("Number.int", "42"));
    assert_eq!(attributes["shop.key"], binary(&[0, 159, 146, 150]));

    let message = ask(&rig, &queue, &["traceparent"]).await;
    assert_eq!(message.md5_of_message_attributes(), Some("d4bddbafc0719b646e6cf44fef9634b4"));
    assert_eq!(ask(&rig, &queue, &[]).await.md5_of_message_attributes(), None);
}

fn trace_header(value: &str) -> MessageSystemAttributeValue {
    let attribute = MessageSystemAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().expect("an attribute")
}

#[tokio::test]
async fn the_trace_header_is_carried_beside_the_ten() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let mut sent = rig.client.send_message().queue_url(&queue).message_body("one book");
    for number in 0..10 {
        sent = sent.message_attributes(format!("attribute-{number}"), text("value"));
    }
    let header = MessageSystemAttributeNameForSends::AwsTraceHeader;
    let sent = sent.message_system_attributes(header, trace_header(TRACE));
    let sent = sent.send().await.expect("it is sent");
    let digest = Some("5ae4d5d7636402d80f4eb6d213245a88");
    let digest = rig.differs("`MD5OfMessageSystemAttributes`", digest, None);
    assert_eq!(sent.md5_of_message_system_attributes(), digest);

    let asked = rig.client.receive_message().queue_url(&queue).visibility_timeout(0);
    let asked = asked.message_system_attribute_names(System::AwsTraceHeader);
    let message = &asked.send().await.expect("an answer").messages.expect("messages")[0];
    let attributes = message.attributes().expect("attributes");
    assert_eq!(attributes.len(), 1, "{attributes:?}");
    assert_eq!(attributes[&System::AwsTraceHeader], TRACE);
    // By its older name, too.
    #[expect(deprecated, reason = "it is what is tested")]
    let asked = rig.client.receive_message().queue_url(&queue).attribute_names("All".into());
    let message = &asked.send().await.expect("an answer").messages.expect("messages")[0];
    assert_eq!(message.attributes().expect("attributes")[&System::AwsTraceHeader], TRACE);
}

#[tokio::test]
async fn no_other_system_attribute_can_be_sent() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let trace_headers = [
        "",
        "Root=1",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=5",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=yes",
    ];
    let trace_headers = trace_headers.map(|value| ("AWSTraceHeader", value));
    for (name, value) in trace_headers.into_iter().chain([("SenderId", TRACE)]) {
        let sent = rig.client.send_message().queue_url(&queue).message_body("one book");
        let sent = sent.message_system_attributes(name.into(), trace_header(value));
        let row = "unknown message system attribute, malformed `AWSTraceHeader`";
        let expected = rig.differs(row, "InvalidParameterValue", "nothing");
        assert_eq!(refused(sent.send().await), expected, "{name}={value}");
    }
}

#[tokio::test]
async fn a_message_tells_its_history() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    rig.send(&queue, "one book").await;
    let receive = async || {
        let asked = rig.client.receive_message().queue_url(&queue).visibility_timeout(1);
        let asked = asked.message_system_attribute_names(System::All).send().await;
        asked.expect("an answer").messages.expect("messages").remove(0).attributes.expect("some")
    };
    let first = receive().await;
    let number = |name: &System| first[name].parse::<u64>().expect("a number");
    let sent = number(&System::SentTimestamp);
    assert!(sent > 1_700_000_000_000, "in milliseconds: {sent}");
    assert!(number(&System::ApproximateFirstReceiveTimestamp) >= sent);
    assert_eq!(first[&System::ApproximateReceiveCount], "1");
    assert!(!first[&System::SenderId].is_empty());
    for absent in [System::SequenceNumber, System::MessageGroupId, System::AwsTraceHeader] {
        assert_eq!(first.get(&absent), None);
    }
    rig.pass(1).await;
    let second = receive().await;
    assert_eq!(second[&System::ApproximateReceiveCount], "2");
    for same in [System::SentTimestamp, System::ApproximateFirstReceiveTimestamp] {
        assert_eq!(second[&same], first[&same]);
    }
}
