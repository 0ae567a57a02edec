//! Messages of SQS: those that are sent, over a client that is answered from memory, and those that are
//! processed.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Intercept, Region};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use throughline::sqs::{Deliveries, Interceptor};

use super::{
    Decision, PARENT_ID, REQUESTS, TRACE_ID, WARM_UP, assert_ended, assert_over, count, parent,
    provider,
};

const PROCESS_SAMPLED: u64 = 9;
const PROCESS_UNSAMPLED: u64 = 2;
const PROCESS_DROPPED: u64 = 5;
// The SDK takes five for an attribute, its map among them, and two to keep what the interceptor holds.
const SEND_SAMPLED: u64 = 12;
const SEND_UNSAMPLED: u64 = 7;
const SEND_DROPPED: u64 = 10;

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/000000000000/orders";

#[derive(Debug)]
struct Noop;

impl Intercept for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }
}

/// Answers without a socket, and counts the messages that carry a context.
#[derive(Clone, Debug, Default)]
struct Canned(Arc<AtomicU64>);

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        if body.windows(13).any(|part| part == b"\"traceparent\"") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        let answer = SdkBody::from(r#"{"MessageId":"1","MD5OfMessageBody":"0"}"#);
        let mut response = HttpResponse::new(StatusCode::try_from(200).unwrap(), answer);
        response.headers_mut().insert("x-amzn-requestid", "request-1");
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn send(canned: &Canned, decision: Decision, with: impl FnOnce(Builder) -> Builder) -> u64 {
    let connector = SharedHttpConnector::new(canned.clone());
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let client = Client::from_conf(with(config).build());
    let _current = parent(decision).attach();
    count(async |requests| {
        for _ in 0..requests {
            let message = client.send_message().queue_url(QUEUE).message_body("one book");
            message.send().await.unwrap();
        }
    })
}

#[track_caller]
fn assert_send(decision: Decision, allowed: u64) {
    let noop = send(&Canned::default(), decision, |config| config.interceptor(Noop));
    let (provider, ended) = provider(decision);
    let canned = Canned::default();
    let interceptor = Interceptor::new().with_tracer_provider(&provider);
    let ours = send(&canned, decision, |config| config.interceptor(interceptor));
    assert_ended(&ended, decision);
    assert_eq!(canned.0.load(Ordering::Relaxed), WARM_UP + REQUESTS, "injected, {decision:?}");
    assert_over(ours, noop, allowed);
}

fn received(decision: Decision) -> Message {
    let message = Message::builder().message_id("message-1").body("one book");
    let flags = match decision {
        Decision::Sampled => "01",
        Decision::Unsampled => "00",
        Decision::Dropped => return message.build(),
    };
    let value = format!("00-{TRACE_ID}-{PARENT_ID}-{flags}");
    let value = MessageAttributeValue::builder().data_type("String").string_value(value);
    message.message_attributes("traceparent", value.build().unwrap()).build()
}

#[track_caller]
fn assert_process(decision: Decision, allowed: u64) {
    let message = received(decision);
    let noop = count(async |requests| {
        for _ in 0..requests {
            drop(std::hint::black_box(message.clone()));
        }
    });
    let (provider, ended) = provider(decision);
    let deliveries = Deliveries::of(QUEUE).with_tracer_provider(&provider);
    let ours = count(async |requests| {
        for _ in 0..requests {
            let delivery = deliveries.delivery(message.clone());
            let Ok(()) = delivery
                .process(async |message| {
                    assert_eq!(message.body(), "one book");
                    Ok::<_, Infallible>(())
                })
                .await;
        }
    });
    assert_ended(&ended, decision);
    assert_over(ours, noop, allowed);
}

#[test]
fn a_message_that_is_sent_allocates_little() {
    assert_send(Decision::Sampled, SEND_SAMPLED);
    assert_send(Decision::Unsampled, SEND_UNSAMPLED);
    assert_send(Decision::Dropped, SEND_DROPPED);
}

#[test]
fn a_message_that_is_processed_allocates_little() {
    assert_process(Decision::Sampled, PROCESS_SAMPLED);
    assert_process(Decision::Unsampled, PROCESS_UNSAMPLED);
    assert_process(Decision::Dropped, PROCESS_DROPPED);
}
