//! What takes longer than a test: only the embedded server's clock can be put forward.

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};

use crate::common::{Rig, bodies, handle, name, refused, soon};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

#[tokio::test]
async fn a_message_is_kept_for_four_days_or_as_long_as_its_queue_says() {
    let rig = Rig::embedded();
    for (attributes, time) in
        [(&[][..], 4 * DAY), (&[(Name::MessageRetentionPeriod, "60")][..], MINUTE)]
    {
        let queue = rig.queue(attributes).await;
        rig.send(&queue, "one book").await;
        rig.pass(time - 1).await;
        assert_eq!(rig.counts(&queue).await, ["1", "0", "0"]);
        rig.pass(1).await;
        assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
        assert!(rig.receive(&queue).await.is_empty());
    }
}

#[tokio::test]
async fn a_dead_letter_is_as_old_as_its_message_but_in_a_fifo_queue() {
    for fifo in [false, true] {
        let rig = Rig::embedded();
        let dead = if fifo { rig.fifo(&[]).await } else { rig.queue(&[]).await };
        let arn = rig.attribute(&dead, Name::QueueArn).await;
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"1"}}"#);
        let attributes = [(Name::RedrivePolicy, &*policy), (Name::VisibilityTimeout, "0")];
        let queue = if fifo { rig.fifo(&attributes).await } else { rig.queue(&attributes).await };
        let sent = rig.client.send_message().queue_url(&queue).message_body("one book");
        let ids = fifo.then(|| "1".to_owned());
        let sent = sent.set_message_group_id(ids.clone()).set_message_deduplication_id(ids);
        sent.send().await.expect("it is sent");
        rig.pass(3 * DAY).await;
        rig.receive_one(&queue).await;
        assert!(rig.receive(&queue).await.is_empty());
        assert_eq!(rig.counts(&dead).await, ["1", "0", "0"]);
        rig.pass(DAY).await;
        assert_eq!(rig.counts(&dead).await[0], if fifo { "1" } else { "0" });
    }
}

#[tokio::test]
async fn a_fifo_queue_remembers_for_five_minutes() {
    let rig = Rig::embedded();
    let queue = rig.fifo(&[(Name::ContentBasedDeduplication, "true")]).await;
    let send = async || {
        let sent = rig.client.send_message().queue_url(&queue).message_body("one book");
        sent.message_group_id("a").send().await.expect("it is sent").message_id.expect("an id")
    };
    let first = send().await;
    rig.pass(5 * MINUTE - 1).await;
    assert_eq!(send().await, first);
    assert_eq!(rig.counts(&queue).await, ["1", "0", "0"]);
    rig.pass(1).await;
    assert_ne!(send().await, first);
    assert_eq!(rig.counts(&queue).await, ["2", "0", "0"]);
}

#[tokio::test]
async fn nothing_is_hidden_for_longer_than_twelve_hours_in_all() {
    let rig = Rig::embedded();
    let queue = rig.queue(&[(Name::VisibilityTimeout, "43200")]).await;
    rig.send(&queue, "one book").await;
    let message = rig.receive_one(&queue).await;
    rig.pass(43_000).await;
    let refusal = Err("InvalidParameterValue".to_owned());
    assert_eq!(rig.hide(&queue, handle(&message), 201).await, refusal);
    rig.hide(&queue, handle(&message), 190).await.expect("it is within the twelve hours");
    rig.pass(190).await;
    assert_eq!(rig.counts(&queue).await, ["1", "0", "0"]);
}

#[tokio::test]
async fn a_poll_ends_when_the_clock_says_so() {
    let rig = Rig::embedded();
    let queue = rig.queue(&[]).await;
    let polled = rig.client.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    let hasten = async {
        use throughline_testing::embedded::sqs::Operation;
        while rig.sqs().requests(Operation::ReceiveMessage) == 0 {
            tokio::task::yield_now().await;
        }
        rig.sqs().advance(Duration::from_secs(20));
    };
    let patience = Duration::from_secs(10);
    let polled = async { tokio::time::timeout(patience, polled).await.expect("it ends early") };
    let (polled, ()) = soon("the end", async { tokio::join!(polled, hasten) }).await;
    assert_eq!(polled.expect("an answer").messages, None);
}

#[tokio::test]
async fn a_minute_later_a_queue_is_purged_and_its_name_used_again() {
    let rig = Rig::embedded();
    let name = name();
    let queue = rig.create(&name, &[]).await.expect("a queue");
    let purge = async || refused(rig.client.purge_queue().queue_url(&queue).send().await);
    assert_eq!(purge().await, "nothing");
    rig.pass(MINUTE - 1).await;
    assert_eq!(purge().await, "PurgeQueueInProgress");
    rig.pass(1).await;
    assert_eq!(purge().await, "nothing");

    rig.send(&queue, "one book").await;
    let message = rig.receive_one(&queue).await;
    rig.client.delete_queue().queue_url(&queue).send().await.expect("it is deleted");
    rig.pass(MINUTE - 1).await;
    assert_eq!(rig.create(&name, &[]).await, Err("QueueDeletedRecently".to_owned()));
    rig.pass(1).await;
    assert_eq!(rig.create(&name, &[]).await, Ok(queue.clone()));
    // It is another queue: the receipts of the old one are none of its.
    let old = rig.delete(&queue, handle(&message)).await;
    assert_eq!(old, Err("ReceiptHandleIsInvalid".to_owned()));
}

#[tokio::test]
async fn times_are_the_servers() {
    let rig = Rig::embedded();
    let queue = rig.queue(&[(Name::VisibilityTimeout, "0")]).await;
    rig.send(&queue, "one book").await;
    rig.pass(DAY).await;
    let asked = rig.client.receive_message().queue_url(&queue);
    let asked = asked.message_system_attribute_names(System::All).send().await;
    let messages = asked.expect("an answer").messages.expect("messages");
    assert_eq!(bodies(&messages), ["one book"]);
    let attributes = messages[0].attributes().expect("attributes");
    let time = |name| attributes[&name].parse::<u64>().expect("a time");
    let waited = time(System::ApproximateFirstReceiveTimestamp) - time(System::SentTimestamp);
    assert!((DAY * 1000..DAY * 1000 + 60_000).contains(&waited), "{waited}");
}
