//! Polls.

use std::time::Duration;

use aws_sdk_sqs::operation::receive_message::builders::ReceiveMessageFluentBuilder;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use serde_json::{Value, json};
use throughline_core::{InContext, Trust};
use throughline_sqs::TraceHeader;

use crate::common::{ELSEWHERE, ELSEWHERE_HEADER, PATIENCE, Rig};
use crate::stub::refusal;

fn poll(rig: &Rig) -> ReceiveMessageFluentBuilder {
    rig.sqs.receive_message().queue_url(&rig.url)
}

fn message(id: &str, traceparent: Option<&str>) -> Value {
    let attributes =
        traceparent.map(|it| json!({"traceparent": {"DataType": "String", "StringValue": it}}));
    json!({"MessageId": id, "ReceiptHandle": "handle", "Body": "a book",
        "MessageAttributes": attributes})
}

async fn bringing(messages: Vec<Value>) -> Rig {
    Rig::answering(move |_| {
        let answer = json!({"Messages": messages}).to_string();
        async move { (200, answer) }
    })
    .await
}

#[tokio::test]
async fn messages_are_linked_to_each_by_a_span_that_begins_with_the_poll() {
    let rig = Rig::answering(|_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let messages = [message("1", Some(ELSEWHERE)), message("2", None), message("3", Some("x"))];
        (200, json!({"Messages": messages}).to_string())
    });
    let rig = rig.await;
    let context = rig.handler();
    let messages = InContext::new(poll(&rig).send(), context.clone()).await.expect("messages");
    assert_eq!(messages.messages().len(), 3);
    drop(context);
    rig.assert_tree(
        "
        INTERNAL handler
          CLIENT receive orders {messaging.system.name=aws.sqs, messaging.operation.name=receive, \
         messaging.operation.type=receive, messaging.destination.name=orders, \
         aws.sqs.queue.url=URL, server.address=127.0.0.1, server.port=PORT, \
         messaging.batch.message_count=3, aws.request_id=request-1} ~(elsewhere)
        ",
    );
    let spans = rig.recorder.spans();
    let span = spans.iter().find(|span| span.name == "receive orders").expect("the span");
    assert_eq!(span.links[0].attributes.get_str("messaging.message.id"), Some("1"));
    assert!(span.duration() >= Duration::from_millis(50), "{:?}", span.duration());
    assert!(span.duration() < PATIENCE, "{:?}", span.duration());
}

#[tokio::test]
async fn its_parent_is_what_was_current_when_it_was_asked() {
    let rig = bringing(vec![message("1", None)]).await;
    let (first, last) = (rig.handler(), rig.handler());
    let mut polling = Box::pin(poll(&rig).send());
    let polled = InContext::new(futures_util::future::poll_immediate(&mut polling), first.clone());
    assert!(polled.await.is_none(), "a socket takes longer");
    InContext::new(polling, last.clone()).await.expect("a message");
    drop((first, last));
    rig.assert_tree(
        "
        INTERNAL handler
          CLIENT receive orders
        INTERNAL handler
        ",
    );
    // The first of the two.
    let spans = rig.recorder.spans();
    let handlers: Vec<_> = spans.iter().filter(|span| span.name == "handler").collect();
    let receive = spans.iter().find(|span| span.name == "receive orders").expect("the span");
    let first = handlers.iter().min_by_key(|span| span.start_time_unix_nano).expect("a handler");
    assert_eq!(receive.parent, Some(first.span_id));
}

#[tokio::test]
async fn an_empty_poll_and_one_that_is_dropped_are_no_spans() {
    let rig = bringing(Vec::new()).await;
    poll(&rig).send().await.expect("an answer");
    rig.assert_tree("");
    let rig = Rig::answering(|_| std::future::pending()).await;
    let waiting = tokio::time::timeout(Duration::from_millis(100), poll(&rig).send());
    waiting.await.expect_err("nobody answers");
    rig.assert_tree("");
}

#[tokio::test]
async fn a_poll_that_fails_is_a_span() {
    let rig = Rig::answering(|_| async { refusal(400, "QueueDoesNotExist") }).await;
    poll(&rig).send().await.expect_err("it is refused");
    rig.assert_tree("CLIENT receive orders !error {error.type=QueueDoesNotExist}");
    rig.recorder.assert_no_orphans();
}

#[tokio::test]
async fn registered_twice_it_is_one_span_that_asks_once() {
    let mut rig = bringing(vec![message("1", Some(ELSEWHERE))]).await;
    let interceptor = crate::common::interceptor(&rig.recorder);
    rig.configured(|config| config.interceptor(interceptor.clone()).interceptor(interceptor));
    poll(&rig).send().await.expect("a message");
    rig.assert_tree("CLIENT receive orders ~(elsewhere)");
    assert_eq!(
        rig.sent()["MessageAttributeNames"],
        json!(["traceparent", "tracestate", "baggage"])
    );
}

#[tokio::test]
async fn senders_who_are_ignored_are_not_linked_to() {
    for (trust, tree) in [
        (Trust::Ignore, "CLIENT receive orders"),
        (Trust::Link, "CLIENT receive orders ~(elsewhere)"),
    ] {
        let mut rig = bringing(vec![message("1", Some(ELSEWHERE))]).await;
        rig.with(|it| it.trust(trust));
        poll(&rig).send().await.expect("a message");
        rig.assert_tree(tree);
    }
}

#[tokio::test]
async fn a_message_of_another_kind_is_linked_to_as_well() {
    let body = json!({"Type": "Notification", "TopicArn": "arn", "Message": "a book",
        "MessageAttributes": {"traceparent": {"Type": "String", "Value": ELSEWHERE}}});
    let enveloped = json!({"MessageId": "1", "Body": body.to_string()});
    let headed =
        json!({"MessageId": "2", "Body": "b", "Attributes": {"AWSTraceHeader": ELSEWHERE_HEADER}});
    let rig = bringing(vec![enveloped, headed]).await;
    poll(&rig).send().await.expect("messages");
    rig.assert_tree("CLIENT receive orders ~(elsewhere) ~(elsewhere)");
}

/// What was asked for: message attributes, system attributes, and those by their older name.
async fn asks(
    change: impl FnOnce(ReceiveMessageFluentBuilder) -> ReceiveMessageFluentBuilder,
) -> [Value; 3] {
    let rig = bringing(Vec::new()).await;
    change(poll(&rig)).send().await.expect("an answer");
    let sent = rig.sent();
    ["MessageAttributeNames", "MessageSystemAttributeNames", "AttributeNames"]
        .map(|name| sent[name].clone())
}

#[tokio::test]
async fn a_poll_asks_for_what_a_context_travels_by_beside_what_the_caller_wants() {
    let context = json!(["traceparent", "tracestate", "baggage"]);
    let told = ["SentTimestamp", "ApproximateReceiveCount", "MessageGroupId", "AWSTraceHeader"];
    assert_eq!(asks(|poll| poll).await, [context, json!(told), Value::Null]);

    let [names, ..] = asks(|poll| poll.message_attribute_names("color")).await;
    assert_eq!(names, json!(["color", "traceparent", "tracestate", "baggage"]));
    let [names, ..] = asks(|poll| poll.message_attribute_names("tracestate")).await;
    assert_eq!(names, json!(["tracestate", "traceparent", "baggage"]));
    // A prefix doesn't cover what it doesn't name.
    let [names, ..] = asks(|poll| poll.message_attribute_names("trace.*")).await;
    assert_eq!(names, json!(["trace.*", "traceparent", "tracestate", "baggage"]));
    for all in ["All", ".*"] {
        let [names, ..] = asks(|poll| poll.message_attribute_names(all)).await;
        assert_eq!(names, json!([all]));
    }

    use MessageSystemAttributeName as System;
    let asked = asks(|poll| poll.message_system_attribute_names(System::SentTimestamp)).await;
    assert_eq!(asked[1], json!(told));
    let asked = asks(|poll| poll.message_system_attribute_names(System::All)).await;
    assert_eq!(asked[1], json!(["All"]));
    let asked = asks(|poll| poll.message_system_attribute_names(System::AwsTraceHeader)).await;
    assert_eq!(asked[1], json!([told[3], told[0], told[1], told[2]]));
}

#[tokio::test]
#[expect(deprecated, reason = "callers still use it")]
async fn a_caller_who_uses_the_older_name_of_a_list_is_asked_for_in_that() {
    let null = Value::Null;
    for (name, wanted) in [
        (QueueAttributeName::All, json!(["All"])),
        (
            QueueAttributeName::from("SenderId"),
            json!([
                "SenderId",
                "SentTimestamp",
                "ApproximateReceiveCount",
                "MessageGroupId",
                "AWSTraceHeader"
            ]),
        ),
    ] {
        let asked = asks(|poll| poll.attribute_names(name)).await;
        assert_eq!(asked[1..], [null.clone(), wanted]);
    }
}

#[tokio::test]
async fn a_header_that_is_never_read_is_never_asked_for() {
    let mut rig = bringing(Vec::new()).await;
    rig.with(|it| it.trace_header(TraceHeader::Never));
    poll(&rig).send().await.expect("an answer");
    let told = ["SentTimestamp", "ApproximateReceiveCount", "MessageGroupId"];
    assert_eq!(rig.sent()["MessageSystemAttributeNames"], json!(told));
}

#[tokio::test]
async fn other_formats_have_other_names() {
    use throughline_core::{Format, Formats};
    let mut rig = bringing(Vec::new()).await;
    rig.with(|it| {
        let formats = Formats::new([Format::B3, Format::XRay]);
        it.with_propagator(formats).trace_header(TraceHeader::Never)
    });
    poll(&rig).send().await.expect("an answer");
    let sent = rig.sent();
    assert_eq!(sent["MessageAttributeNames"], json!(["b3"]));
    let told = sent["MessageSystemAttributeNames"].as_array().expect("a list");
    assert!(told.contains(&json!("AWSTraceHeader")), "{told:?}");
}
