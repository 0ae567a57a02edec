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

async fn post(rig: &Rig, target: &str, body: String) -> Answer {
    post_traced(rig, target, body, None).await
}

#[expect(clippy::disallowed_methods, reason = "a request of no trace")]
async fn post_traced(rig: &Rig, target: &str, body: String, header: Option<&str>) -> Answer {
    let request = reqwest::Client::new().post(rig.endpoint()).header("x-amz-target", target);
    let mut request = request.header("content-type", JSON).body(body);
    if let Some(header) = header {
        request = request.header("X-Amzn-Trace-Id", header);
    }
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

/// As OpenTelemetry's instrumentation of AWS's SDKs has it sent, and X-Ray's own.
#[tokio::test]
async fn the_trace_header_of_a_request_is_that_of_its_messages() {
    const OF_REQUEST: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8";
    const OF_MESSAGE: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7";
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    let own = json!({ "AWSTraceHeader": { "DataType": "String", "StringValue": OF_MESSAGE } });
    let send = async |operation: &str, mut body: Value, header: Option<&str>| {
        body["QueueUrl"] = queue.as_str().into();
        let target = format!("AmazonSQS.{operation}");
        let answer = post_traced(&rig, &target, body.to_string(), header).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let sent = send("SendMessage", json!({ "MessageBody": "one" }), Some(OF_REQUEST)).await;
    // It is none that the sender has sent.
    assert_eq!(sent.get("MD5OfMessageSystemAttributes"), None);
    send("SendMessage", json!({ "MessageBody": "none" }), None).await;
    let entries = json!([
        { "Id": "a", "MessageBody": "two" },
        { "Id": "b", "MessageBody": "three", "MessageSystemAttributes": own },
    ]);
    send("SendMessageBatch", json!({ "Entries": entries }), Some(OF_REQUEST)).await;

    let body = json!({
        "QueueUrl": queue, "MaxNumberOfMessages": 10,
        "MessageSystemAttributeNames": ["AWSTraceHeader"],
    });
    let received = call(&rig, "ReceiveMessage", body).await.body;
    let messages = received["Messages"].as_array().expect("messages").iter();
    let mut told: Vec<_> = messages
        .map(|it| (it["Body"].as_str(), it["Attributes"]["AWSTraceHeader"].as_str()))
        .collect();
    told.sort_unstable();
    let wanted = [
        (Some("none"), None),
        (Some("one"), Some(OF_REQUEST)),
        (Some("three"), Some(OF_MESSAGE)),
        (Some("two"), Some(OF_REQUEST)),
    ];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_trace_header_of_a_request_that_is_none_is_left_out() {
    let rig = Rig::embedded();
    let queue = rig.queue(&[]).await;
    let one = json!({ "QueueUrl": queue, "MessageBody": "one" }).to_string();
    let answer = post_traced(&rig, "AmazonSQS.SendMessage", one, Some("Root=1")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let name = queue.rsplit('/').next().expect("a name");
    assert_eq!(rig.sqs().messages(name).expect("the queue")[0].trace_header, None);
}
