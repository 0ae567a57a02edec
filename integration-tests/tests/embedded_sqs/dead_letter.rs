//! What becomes of a message that nobody deletes.

use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName as Name,
};

use crate::common::{Rig, bodies, name, text};

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// A queue whose messages go to another after so many receives.
async fn pair(rig: &Rig, fifo: bool, receives: u32) -> (String, String, String) {
    let create = async |attributes: &[(Name, &str)]| match fifo {
        true => rig.fifo(attributes).await,
        false => rig.queue(attributes).await,
    };
    let dead = create(&[]).await;
    let arn = rig.attribute(&dead, Name::QueueArn).await;
    let policy = policy(&arn, receives);
    let queue = create(&[(Name::RedrivePolicy, &policy), (Name::VisibilityTimeout, "0")]).await;
    let arn = rig.attribute(&queue, Name::QueueArn).await;
    (queue, dead, arn)
}

fn policy(arn: &str, receives: u32) -> String {
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{receives}}}"#)
}

async fn receive_all(rig: &Rig, queue: &str) -> Vec<Message> {
    let asked = rig.client.receive_message().queue_url(queue).max_number_of_messages(10);
    let asked = asked.message_system_attribute_names(System::All).message_attribute_names("All");
    asked.send().await.expect("an answer").messages.unwrap_or_default()
}

#[tokio::test]
async fn a_message_keeps_what_it_is_on_its_way_to_the_dead_letters() {
    let rig = Rig::new();
    let (queue, dead, arn) = pair(&rig, false, 2).await;
    let header = MessageSystemAttributeValue::builder().data_type("String").string_value(TRACE);
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    let sent = rig.client.send_message().queue_url(&queue).message_body("one book");
    let sent = sent
        .message_attributes("traceparent", text("00-1"))
        .message_system_attributes(name, header.build().expect("an attribute"))
        .send()
        .await
        .expect("it is sent");
    let first = receive_all(&rig, &queue).await;
    assert_eq!(bodies(&receive_all(&rig, &queue).await), ["one book"]);
    assert_eq!(rig.counts(&dead).await, ["0", "0", "0"]);
    // More often than that nobody receives it.
    assert!(receive_all(&rig, &queue).await.is_empty());
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);

    let found = receive_all(&rig, &dead).await;
    assert_eq!(bodies(&found), ["one book"]);
    assert_eq!(found[0].message_id(), sent.message_id());
    assert_eq!(found[0].message_attributes().expect("attributes")["traceparent"], text("00-1"));
    let (before, after) = (first[0].attributes(), found[0].attributes().expect("attributes"));
    assert_eq!(after[&System::AwsTraceHeader], TRACE);
    let sent = &before.expect("attributes")[&System::SentTimestamp];
    assert_eq!(&after[&System::SentTimestamp], sent);
    // Counted "across all queues".
    assert_eq!(after[&System::ApproximateReceiveCount], "3");
    assert_eq!(after[&System::DeadLetterQueueSourceArn], arn);
}

#[tokio::test]
async fn the_next_of_a_group_comes_once_the_first_is_dead() {
    let rig = Rig::new();
    let (queue, dead, _) = pair(&rig, true, 1).await;
    for body in ["1", "2"] {
        let sent = rig.client.send_message().queue_url(&queue).message_body(body);
        let sent = sent.message_group_id("a").message_deduplication_id(body);
        sent.send().await.expect("it is sent");
    }
    let one = async || {
        let asked = rig.client.receive_message().queue_url(&queue).send().await;
        asked.expect("an answer").messages.unwrap_or_default()
    };
    assert_eq!(bodies(&one().await), ["1"]);
    // Nobody says whether the receive by which the first dies has the second already.
    let mut second = one().await;
    if second.is_empty() {
        second = one().await;
    }
    assert_eq!(bodies(&second), ["2"]);
    assert!(one().await.is_empty());
    let found = receive_all(&rig, &dead).await;
    assert_eq!(bodies(&found), ["1", "2"]);
    let attributes = found[1].attributes().expect("attributes");
    assert_eq!(attributes[&System::MessageGroupId], "a");
    let id = found[1].message_id().expect("an id");
    let id = rig.differs("`MessageDeduplicationId` of a dead letter", "2", id);
    assert_eq!(attributes[&System::MessageDeduplicationId], id);
}

#[tokio::test]
async fn what_has_no_grave_stays() {
    // On ours alone: AWS doesn't say, and with ElasticMQ the message is gone.
    let rig = Rig::embedded();
    let (queue, dead, _) = pair(&rig, false, 1).await;
    rig.send(&queue, "one book").await;
    rig.client.delete_queue().queue_url(&dead).send().await.expect("it is deleted");
    for _ in 0..3 {
        assert_eq!(bodies(&receive_all(&rig, &queue).await), ["one book"]);
    }
}

#[tokio::test]
async fn a_policy_names_a_queue_of_the_same_type_and_a_count() {
    let rig = Rig::new();
    let (plain, fifo) = (rig.queue(&[]).await, rig.fifo(&[]).await);
    let plain = rig.attribute(&plain, Name::QueueArn).await;
    let fifo = rig.attribute(&fifo, Name::QueueArn).await;
    let create =
        async |policy: &str| rig.create(&name(), &[(Name::RedrivePolicy, policy)]).await.map(drop);
    assert_eq!(create(&policy(&plain, 1000)).await, Ok(()));
    let none = create(&policy(&format!("{plain}-x"), 3)).await;
    let refusal = || Err("InvalidParameterValue".to_owned());
    let row = "codes of refused redrive policies";
    assert_eq!(none, rig.differs(row, refusal(), Err("QueueDoesNotExist".to_owned())));
    for wrong in [policy(&plain, 0), policy(&plain, 1001), "nonsense".to_owned()] {
        let expected = rig.differs(row, refusal(), Err("InvalidAttributeValue".to_owned()));
        assert_eq!(create(&wrong).await, expected, "{wrong}");
    }
    let mixed = create(&policy(&fifo, 3)).await;
    assert_eq!(mixed, rig.differs("dead letters of another type of queue", refusal(), Ok(())));
}
