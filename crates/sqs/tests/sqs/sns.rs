//! Messages that are published to a topic of SNS.

use aws_sdk_sns::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::Value;

use crate::common::{ELSEWHERE, Rig, interceptor};
use crate::stub::{Answer, Asked};

const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:orders";

fn answer(asked: &Asked) -> Answer {
    let said = match asked.operation.as_str() {
        "Publish" => "<MessageId>message-1</MessageId>".to_owned(),
        _ => "<Successful><member><Id>a</Id><MessageId>message-a</MessageId></member></Successful>\
              <Failed><member><Id>b</Id><Code>InternalError</Code><SenderFault>false</SenderFault>\
              </member></Failed>"
            .to_owned(),
    };
    let operation = &asked.operation;
    let result = format!("<{operation}Result>{said}</{operation}Result>");
    (200, format!("<{operation}Response>{result}</{operation}Response>"))
}

/// Resolves every call to this.
#[derive(Debug)]
struct To(String);

impl ResolveEndpoint for To {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

async fn rig() -> (Rig, aws_sdk_sns::Client) {
    let rig = Rig::answering(|asked| async move { answer(&asked) }).await;
    let config = rig.stub.sns().interceptor(interceptor(&rig.recorder)).build();
    (rig, aws_sdk_sns::Client::from_conf(config))
}

/// The names of the attributes of a form, by what they begin with.
fn names(form: &Value, prefix: &str) -> Vec<String> {
    let fields = form.as_object().into_iter().flatten();
    let names = fields.filter(|(field, _)| field.starts_with(prefix) && field.ends_with(".Name"));
    let mut names: Vec<_> = names.filter_map(|(_, name)| Some(name.as_str()?.to_owned())).collect();
    names.sort_unstable();
    names
}

fn text(value: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("String").string_value(value);
    value.build().expect("a value")
}

#[tokio::test]
async fn a_message_carries_its_span() {
    let (rig, sns) = rig().await;
    sns.publish().topic_arn(TOPIC).message("a book").send().await.expect("it is published");
    rig.assert_tree(&format!(
        "PRODUCER send orders {{messaging.system.name=aws.sns, messaging.operation.type=send, \
         messaging.destination.name=orders, aws.sns.topic.arn={TOPIC}, \
         server.address=127.0.0.1, server.port=PORT, messaging.message.id=message-1, \
         aws.request_id=request-1}}"
    ));
    assert_eq!(names(&rig.sent(), "MessageAttributes"), ["traceparent"]);
}

#[tokio::test]
async fn each_entry_carries_a_span_of_its_own_and_says_if_it_was_refused() {
    let (rig, sns) = rig().await;
    let entry = |id: &str| {
        PublishBatchRequestEntry::builder().id(id).message("a book").build().expect("an entry")
    };
    let batch = sns.publish_batch().topic_arn(TOPIC);
    let batch = batch.publish_batch_request_entries(entry("a"));
    batch.publish_batch_request_entries(entry("b")).send().await.expect("an answer of 200");
    rig.assert_tree(
        "
        PRODUCER create orders {messaging.message.id=message-a}
        PRODUCER create orders !error {error.type=InternalError}
        CLIENT send orders !error(1 of 2 refused: b: InternalError) {error.type=InternalError, \
         messaging.batch.message_count=2} ~(create orders) ~(create orders)
        ",
    );
    let entries = "PublishBatchRequestEntries.member";
    for number in ["1", "2"] {
        let prefix = format!("{entries}.{number}.MessageAttributes");
        assert_eq!(names(&rig.sent(), &prefix), ["traceparent"]);
    }
}

#[tokio::test]
async fn a_message_with_ten_attributes_stays_as_it_is_since_queues_take_no_more() {
    let (rig, sns) = rig().await;
    let publish = sns.publish().topic_arn(TOPIC).message("a book");
    let publish = (0..10)
        .fold(publish, |it, number| it.message_attributes(format!("user-{number}"), text("kept")));
    publish.send().await.expect("it is published");
    assert_eq!(names(&rig.sent(), "MessageAttributes").len(), 10);
    rig.assert_tree("PRODUCER send orders");
}

#[tokio::test]
async fn one_that_was_created_elsewhere_keeps_its_context() {
    let (rig, sns) = rig().await;
    let publish = sns.publish().topic_arn(TOPIC).message("a book");
    let publish = publish.message_attributes("traceparent", text(ELSEWHERE));
    publish.send().await.expect("it is published");
    rig.assert_tree("CLIENT send orders ~(elsewhere)");
}

#[tokio::test]
async fn what_goes_to_a_phone_is_nobodys_message() {
    let (rig, sns) = rig().await;
    sns.publish().phone_number("+100").message("a book").send().await.expect("it is published");
    assert_eq!(names(&rig.sent(), "MessageAttributes"), [""; 0]);
    let endpoint = "arn:aws:sns:eu-central-1:0:endpoint/GCM/app/1";
    sns.publish().target_arn(endpoint).message("a book").send().await.expect("it is published");
    assert_eq!(names(&rig.sent(), "MessageAttributes"), [""; 0]);
    rig.assert_tree("");
}

#[tokio::test]
async fn the_server_is_told_when_it_is_known() {
    let (rig, _) = rig().await;
    let mut config = rig.stub.sns().interceptor(interceptor(&rig.recorder));
    config.set_endpoint_url(None);
    let config = config.endpoint_resolver(To(rig.stub.endpoint())).build();
    let sns = aws_sdk_sns::Client::from_conf(config);
    sns.publish().topic_arn(TOPIC).message("a book").send().await.expect("it is published");
    rig.assert_tree("PRODUCER send orders {server.address=127.0.0.1, server.port=PORT}");
}

#[tokio::test]
async fn a_refusal_has_the_code_of_the_service() {
    let error = "<Error><Type>Sender</Type><Code>NotFound</Code><Message>no</Message></Error>";
    let rig =
        Rig::answering(
            move |_| async move { (404, format!("<ErrorResponse>{error}</ErrorResponse>")) },
        );
    let rig = rig.await;
    let config = rig.stub.sns().interceptor(interceptor(&rig.recorder)).build();
    let sns = aws_sdk_sns::Client::from_conf(config);
    sns.publish().topic_arn(TOPIC).message("a book").send().await.expect_err("it is refused");
    let batch = sns.publish_batch().topic_arn(TOPIC);
    let entry = PublishBatchRequestEntry::builder().id("a").message("a book").build();
    let batch = batch.publish_batch_request_entries(entry.expect("an entry"));
    batch.send().await.expect_err("it is refused");
    rig.assert_tree(
        "
        PRODUCER send orders !error(no) {error.type=NotFound}
        PRODUCER create orders !error(no) {error.type=NotFound}
        CLIENT send orders !error(no) {error.type=NotFound} ~(create orders)
        ",
    );
}
