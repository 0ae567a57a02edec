//! The protocol itself, as an SDK doesn't show it.

use serde_json::{Value, json};

use crate::common::Rig;

const JSON: &str = "application/x-amz-json-1.0";

struct Answer {
    status: u16,
    content_type: String,
    query_error: String,
    body: Value,
}

#[expect(clippy::disallowed_methods, reason = "a request of no trace")]
async fn post(rig: &Rig, target: &str, body: String) -> Answer {
    let request = reqwest::Client::new().post(rig.endpoint()).header("x-amz-target", target);
    let request = request.header("content-type", JSON).body(body);
    let response = request.send().await.expect("an answer");
    let header = |name: &str| {
        let value = response.headers().get(name).map(|value| value.to_str().expect("text"));
        value.unwrap_or_default().to_owned()
    };
    let (content_type, query_error) = (header("content-type"), header("x-amzn-query-error"));
    let status = response.status().as_u16();
    let body = response.text().await.expect("a body");
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Answer { status, content_type, query_error, body }
}

async fn call(rig: &Rig, operation: &str, body: Value) -> Answer {
    post(rig, &format!("AmazonSQS.{operation}"), body.to_string()).await
}

#[tokio::test]
async fn an_error_has_both_its_names() {
    let rig = Rig::new();
    let answer = call(&rig, "GetQueueUrl", json!({ "QueueName": "nowhere" })).await;
    assert_eq!(answer.status, 400);
    let expected = rig.differs("`content-type` of an error", JSON, "application/json");
    assert_eq!(answer.content_type, expected);
    assert_eq!(answer.body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    let name = "AWS.SimpleQueueService.NonExistentQueue;Sender";
    assert_eq!(answer.query_error, rig.differs("`x-amzn-query-error`", name, ""));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let row = "what can't be read";
    let malformed = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        json!({ "QueueUrl": 5, "MessageBody": "x" }).to_string(),
        json!({ "QueueUrl": queue, "MessageBody": { "x": 1 } }).to_string(),
    ];
    for body in malformed {
        let answer = post(&rig, "AmazonSQS.SendMessage", body.clone()).await;
        assert!(answer.status >= 400, "{body}");
        if rig.differs(row, true, false) {
            assert_eq!(answer.status, 400, "{body}");
            assert_eq!(answer.body["__type"], "com.amazonaws.sqs#SerializationException", "{body}");
        }
    }
    // Unknown fields are none of ours.
    let more = json!({ "QueueUrl": queue, "MessageBody": "x", "Unheard": [1] });
    assert_eq!(call(&rig, "SendMessage", more).await.status, 200);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    for (operation, body, missing) in [
        ("CreateQueue", json!({}), "QueueName"),
        ("GetQueueUrl", json!({}), "QueueName"),
        ("SendMessage", json!({ "MessageBody": "x" }), "QueueUrl"),
        ("SendMessage", json!({ "QueueUrl": "", "MessageBody": "x" }), "QueueUrl"),
        ("SendMessage", json!({ "QueueUrl": url }), "MessageBody"),
        ("DeleteMessage", json!({ "QueueUrl": url }), "ReceiptHandle"),
        ("ChangeMessageVisibility", json!({ "QueueUrl": url }), "VisibilityTimeout"),
        ("SetQueueAttributes", json!({ "QueueUrl": url }), "Attributes"),
        ("SendMessageBatch", json!({ "QueueUrl": url, "Entries": [{}] }), "Id"),
    ] {
        let answer = call(&rig, operation, body).await;
        assert_eq!((answer.status, &*answer.query_error), (400, "MissingParameter;Sender"));
        let expected = format!("The request must contain the parameter {missing}.");
        assert_eq!(answer.body["message"], expected, "{operation}");
    }
}

#[tokio::test]
async fn what_it_does_not_know_it_says() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    for target in ["AmazonSQS.Nonsense", "AmazonSQS", "DynamoDB.ListTables", ""] {
        let answer = post(&rig, target, "{}".to_owned()).await;
        assert_eq!(
            (answer.status, &*answer.query_error),
            (400, "InvalidAction;Sender"),
            "{target}"
        );
    }
    let attempt = json!({ "QueueUrl": url, "ReceiveRequestAttemptId": "1" });
    let answer = call(&rig, "ReceiveMessage", attempt).await;
    assert_eq!(answer.body["__type"], "com.amazonaws.sqs#UnsupportedOperation");
}

#[tokio::test]
async fn a_queue_is_found_by_the_path_of_its_url() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let name = url.rsplit('/').next().expect("a name");
    for (url, code) in [
        (format!("http://sqs.example/000000000000/{name}"), ""),
        (
            format!("http://sqs.example/000000000001/{name}"),
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
        ),
        (format!("{url}x"), "AWS.SimpleQueueService.NonExistentQueue;Sender"),
        (name.to_owned(), "InvalidAddress;Sender"),
        (format!("http://sqs.example/{name}"), "InvalidAddress;Sender"),
    ] {
        let answer =
            call(&rig, "SendMessage", json!({ "QueueUrl": url, "MessageBody": "x" })).await;
        assert_eq!(answer.query_error, code, "{url}");
    }
}

#[tokio::test]
async fn it_takes_nothing_but_posts_and_no_more_than_sixteen_mebibytes() {
    let rig = Rig::embedded();
    #[expect(clippy::disallowed_methods, reason = "a request of no trace")]
    let got = reqwest::get(rig.endpoint()).await.expect("an answer");
    assert_eq!(got.status().as_u16(), 405);
    let long = post(&rig, "AmazonSQS.SendMessage", "x".repeat(17 * 1024 * 1024)).await;
    assert_eq!(long.status, 413);
}
