//! What is measured.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde_json::json;
use throughline_testing::Measurements;

use crate::common::{ELSEWHERE, Rig, accept};
use crate::stub::refusal;

const DURATION: &str = "messaging.client.operation.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";

async fn measured(rig: &mut Rig) -> Measurements {
    let kept = Measurements::new();
    rig.with(|it| it.with_meter_provider(&kept));
    kept
}

/// One that was measured of a call to `orders`, so often.
fn labels(rig: &Rig, operation: &str, error: Option<&str>, count: u64) -> String {
    let error = error.map_or_else(String::new, |it| format!("error.type={it} "));
    let kind = match operation {
        "send" | "receive" => operation,
        _ => "settle",
    };
    format!(
        "{error}messaging.destination.name=orders messaging.operation.name={operation} \
         messaging.operation.type={kind} messaging.system.name=aws.sqs server.address=127.0.0.1 server.port={}: {count}",
        rig.stub.port()
    )
}

#[tokio::test]
async fn every_call_is_measured_once_and_messages_are_counted() {
    let mut rig = Rig::answering(|asked| async move {
        match asked.operation.as_str() {
            "ReceiveMessage" => (200, json!({"Messages": [{"MessageId": "1"}, {}]}).to_string()),
            _ => accept(&asked),
        }
    })
    .await;
    let kept = measured(&mut rig).await;
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body("a book");
    let batch = rig.sqs.send_message_batch().queue_url(&rig.url);
    let batch = batch.entries(entry("a").build().expect("an entry"));
    batch.entries(entry("b").build().expect("an entry")).send().await.expect("they are sent");
    let send = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    send.send().await.expect("it is sent");
    rig.sqs.receive_message().queue_url(&rig.url).send().await.expect("messages");
    let delete = rig.sqs.delete_message().queue_url(&rig.url).receipt_handle("handle");
    delete.send().await.expect("it is deleted");
    let of = |operation, count| labels(&rig, operation, None, count);
    assert_eq!(kept.of(DURATION), [of("delete", 1), of("receive", 1), of("send", 2)]);
    assert_eq!(kept.of(SENT), [of("send", 3)]);
    assert_eq!(kept.of(CONSUMED), [of("receive", 2)]);
}

#[tokio::test]
async fn failures_are_told_apart_and_empty_polls_are_left_out() {
    let mut rig = Rig::answering(|asked| async move {
        match asked.operation.as_str() {
            "SendMessage" => refusal(400, "QueueDoesNotExist"),
            _ => accept(&asked),
        }
    })
    .await;
    let kept = measured(&mut rig).await;
    let send = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    send.send().await.expect_err("it is refused");
    rig.sqs.receive_message().queue_url(&rig.url).send().await.expect("an answer");
    let failed = labels(&rig, "send", Some("QueueDoesNotExist"), 1);
    assert_eq!(kept.of(DURATION), std::slice::from_ref(&failed));
    assert_eq!(kept.of(SENT), [failed]);
    assert!(kept.of(CONSUMED).is_empty());
}

#[tokio::test]
async fn what_is_not_sampled_is_measured_too() {
    let mut rig = Rig::new().await;
    let kept = measured(&mut rig).await;
    let unsampled = ELSEWHERE.replace("-01", "-00");
    let config = throughline_core::Config::new("test", "1");
    let context = config.extract(&vec![("traceparent".to_owned(), unsampled)]).context().clone();
    let send = rig.sqs.send_message().queue_url(&rig.url).message_body("a book").send();
    throughline_core::InContext::new(send, context).await.expect("it is sent");
    rig.assert_tree("");
    assert_eq!(kept.of(SENT), [labels(&rig, "send", None, 1)]);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_measured_as_cancelled() {
    let mut rig = Rig::answering(|_| std::future::pending()).await;
    let kept = measured(&mut rig).await;
    let send = rig.sqs.send_message().queue_url(&rig.url).message_body("a book").send();
    let deadline = std::time::Duration::from_millis(100);
    tokio::time::timeout(deadline, send).await.expect_err("nobody answers");
    assert_eq!(kept.of(DURATION), [labels(&rig, "send", Some("cancelled"), 1)]);
}

/// One that is refused says nothing of those that were sent.
#[tokio::test]
async fn of_a_batch_those_that_were_refused_are_counted_apart() {
    let mut rig = Rig::answering(|_| async {
        let sent = |id: &str| json!({"Id": id, "MessageId": id, "MD5OfMessageBody": "0"});
        let failed = json!({"Id": "c", "Code": "InternalError", "SenderFault": false});
        (200, json!({"Successful": [sent("a"), sent("b")], "Failed": [failed]}).to_string())
    })
    .await;
    let kept = measured(&mut rig).await;
    let batch = ["a", "b", "c"].into_iter().fold(
        rig.sqs.send_message_batch().queue_url(&rig.url),
        |batch, id| {
            let entry = SendMessageBatchRequestEntry::builder().id(id).message_body("a book");
            batch.entries(entry.build().expect("an entry"))
        },
    );
    batch.send().await.expect("an answer of 200");
    let refused = Some("InternalError");
    assert_eq!(kept.of(SENT), [labels(&rig, "send", refused, 1), labels(&rig, "send", None, 2)]);
    assert_eq!(kept.of(DURATION), [labels(&rig, "send", refused, 1)]);
}

#[tokio::test]
async fn messages_are_told_by_their_older_names_as_well_where_that_is_wanted() {
    use throughline_sqs::Deliveries;

    const OPT_IN: &str = throughline_core::stability::OPT_IN;
    const NAME: &str =
        "metrics::messages_are_told_by_their_older_names_as_well_where_that_is_wanted";
    if std::env::var(OPT_IN).is_err() {
        let child = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", NAME])
            .env(OPT_IN, "http, messaging/dup")
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let mut rig = Rig::new().await;
    let kept = measured(&mut rig).await;
    let send = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    send.send().await.expect("it is sent");
    // Of a queue that is known, and of any.
    for deliveries in [Deliveries::of(&rig.url), Deliveries::default()] {
        let deliveries = deliveries.with_tracer_provider(&rig.recorder.provider());
        let delivery = deliveries
            .with_meter_provider(&kept)
            .delivery(aws_sdk_sqs::types::Message::builder().body("a book").build());
        delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }
    let spans = rig.recorder.spans();
    assert_eq!(spans.len(), 3);
    for span in spans {
        assert_eq!(span.attributes.get_str("messaging.system.name"), Some("aws.sqs"));
        assert_eq!(span.attributes.get_str("messaging.system"), Some("aws_sqs"), "{}", span.name);
    }
    let measured = [kept.of(SENT), kept.of("messaging.process.duration")].concat();
    assert_eq!(measured.len(), 3);
    for line in measured {
        assert!(line.contains(" messaging.system=aws_sqs"), "{line}");
    }
}
