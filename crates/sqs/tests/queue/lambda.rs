//! Events of AWS Lambda.

use std::sync::Mutex;

use throughline_sqs::lambda::Event;
use throughline_sqs::{Deliveries, Message};
use throughline_testing::{Measurements, Recorder};

/// As in AWS's documentation, with attributes.
fn event(queue: &str, messages: &[(&str, &str)]) -> Event {
    let records: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(number, (group, body))| {
            serde_json::json!({
                "messageId": format!("id-{number}"),
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                    "MessageGroupId": group,
                },
                "messageAttributes": {
                    "traceparent": {
                        "stringValue": crate::common::TRACEPARENT,
                        "stringListValues": [], "binaryListValues": [], "dataType": "String",
                    },
                    "picture": {
                        "binaryValue": "AAECAw==",
                        "stringListValues": [], "binaryListValues": [], "dataType": "Binary",
                    },
                },
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:us-east-2:123456789012:{queue}"),
                "awsRegion": "us-east-2",
            })
        })
        .collect();
    serde_json::from_value(serde_json::json!({ "Records": records })).expect("an event")
}

async fn handled(event: Event, deliveries: &Deliveries) -> (Vec<String>, String) {
    let seen = Mutex::new(Vec::new());
    let response = event
        .process(deliveries, async |message: Message<'_>| {
            let picture = message.attributes().and_then(|it| it.get("picture")).expect("one");
            let picture = picture.binary_value().expect("bytes");
            assert_eq!(picture.as_ref(), [0, 1, 2, 3]);
            seen.lock().expect("a lock").push(message.body().to_owned());
            if message.body().contains("fails") { Err("out of stock") } else { Ok(()) }
        })
        .await;
    let response = serde_json::to_string(&response).expect("a text");
    (seen.into_inner().expect("a lock"), response)
}

#[tokio::test]
async fn the_messages_of_an_event_are_processed_in_their_traces() {
    let recorder = Recorder::new();
    let measurements = Measurements::new();
    let deliveries = Deliveries::default()
        .with_tracer_provider(&recorder.provider())
        .with_meter_provider(&measurements);
    let event = event("orders", &[("g", "one"), ("g", "fails"), ("g", "two")]);
    let (seen, response) = handled(event, &deliveries).await;
    assert_eq!(seen, ["one", "fails", "two"]);
    assert_eq!(response, r#"{"batchItemFailures":[{"itemIdentifier":"id-1"}]}"#);
    recorder.assert_tree(
        "
        CONSUMER process orders {messaging.message.id=id-0, throughline.message.age=*}
        CONSUMER process orders {messaging.message.id=id-1, error.type=*} !error(out of stock)
        CONSUMER process orders {messaging.message.id=id-2}
        ",
    );
    // Nobody else counts them.
    let consumed = measurements.of("messaging.client.consumed.messages");
    let labels = "messaging.destination.name=orders messaging.operation.name=process \
                  messaging.system.name=aws.sqs";
    assert_eq!(consumed, [format!("error.type=&str {labels}: 1"), format!("{labels}: 2")]);
    let trace = recorder.assert_one_trace();
    assert_eq!(trace.id().to_string(), crate::common::TRACEPARENT[3..35]);
}

#[tokio::test]
async fn behind_a_failure_a_group_waits() {
    let messages = [("a", "a0 fails"), ("b", "b0"), ("a", "a1"), ("b", "b1")];
    let event = event("orders.fifo", &messages);
    let (seen, response) = handled(event, &Deliveries::default()).await;
    assert_eq!(seen, ["a0 fails", "b0", "b1"]);
    let failed = r#"{"batchItemFailures":[{"itemIdentifier":"id-0"},{"itemIdentifier":"id-2"}]}"#;
    assert_eq!(response, failed);
}

/// The answer names the messages that have failed, and nobody else says why.
#[tokio::test]
async fn why_a_message_failed_is_told_in_the_log() {
    let log = crate::log::Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let event = event("orders", &[("g", "one"), ("g", "fails")]);
    handled(event, &Deliveries::default()).await;
    let told = log.lines("WARN", "a message failed");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["out of stock", "id-1", "arn:aws:sqs:us-east-2:123456789012:orders"] {
        assert!(told[0].contains(part), "{told:?}");
    }
}
