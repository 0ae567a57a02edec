//! A stub, a client and a recorder.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::types::MessageAttributeValue;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use serde_json::{Value, json};
use throughline_sqs::Interceptor;
use throughline_testing::Recorder;

use crate::stub::{Answer, Asked, Stub};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A trace in which nothing here is current.
pub(crate) const ELSEWHERE: &str = "00-11111111111111111111111111111111-2222222222222222-01";
pub(crate) const ELSEWHERE_HEADER: &str =
    "Root=1-11111111-111111111111111111111111;Parent=2222222222222222;Sampled=1";

pub(crate) struct Rig {
    pub(crate) stub: Stub,
    pub(crate) recorder: Recorder,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) url: String,
}

impl Rig {
    /// Where everything succeeds.
    pub(crate) async fn new() -> Self {
        Rig::answering(|asked| async move { accept(&asked) }).await
    }

    pub(crate) async fn answering<F>(answer: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (stub, recorder) = (Stub::start(answer).await, Recorder::new());
        let url = format!("{}/000000000000/orders", stub.endpoint());
        let sqs = stub.sqs().interceptor(interceptor(&recorder)).build();
        Rig { sqs: aws_sdk_sqs::Client::from_conf(sqs), stub, recorder, url }
    }

    /// A client that is configured otherwise.
    pub(crate) fn with(&mut self, change: impl FnOnce(Interceptor) -> Interceptor) {
        let interceptor = change(interceptor(&self.recorder));
        self.configured(|config| config.interceptor(interceptor));
    }

    pub(crate) fn configured(&mut self, change: impl FnOnce(Builder) -> Builder) {
        self.sqs = aws_sdk_sqs::Client::from_conf(change(self.stub.sqs()).build());
    }

    /// A span to send in.
    pub(crate) fn handler(&self) -> Context {
        let span = self.recorder.provider().tracer("test").start("handler");
        Context::new().with_span(span)
    }

    /// Compares with a tree in which the stub's port is `PORT` and its address `URL`.
    #[track_caller]
    pub(crate) fn assert_tree(&self, expected: &str) {
        self.recorder.assert_all_ended();
        let expected = expected.replace("PORT", &self.stub.port().to_string());
        self.recorder.assert_tree(&expected.replace("URL", &self.url));
    }

    /// The last message that the stub was sent.
    pub(crate) fn sent(&self) -> Value {
        self.stub.asked().pop().expect("a call").input
    }
}

pub(crate) fn interceptor(recorder: &Recorder) -> Interceptor {
    Interceptor::new()
        .with_tracer_provider(&recorder.provider())
        .with_propagator(throughline_core::W3cPropagator::new())
}

/// What SQS says when all is well.
pub(crate) fn accept(asked: &Asked) -> Answer {
    let entries = asked.input["Entries"].as_array().cloned().unwrap_or_default();
    let sent = |entry: &Value| {
        let id = entry["Id"].as_str().expect("an id");
        json!({"Id": id, "MessageId": format!("message-{id}"), "MD5OfMessageBody": "0"})
    };
    let sent: Vec<_> = entries.iter().map(sent).collect();
    let answer = match asked.operation.as_str() {
        "SendMessage" => json!({"MessageId": "message-1", "MD5OfMessageBody": "0"}),
        "ReceiveMessage" => json!({}),
        _ => json!({"Successful": sent, "Failed": []}),
    };
    (200, answer.to_string())
}

/// A context that travels by all there is.
pub(crate) fn full() -> Context {
    let state = TraceState::from_key_value([("vendor", "a")]).expect("a state");
    let (trace, span) = (TraceId::from(0xabc), SpanId::from(0xdef));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
    Context::new().with_remote_span_context(span).with_baggage([KeyValue::new("user", "alice")])
}

pub(crate) fn text(value: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("String").string_value(value);
    value.build().expect("a value")
}

/// So many attributes of a user's.
pub(crate) fn users(count: usize) -> HashMap<String, MessageAttributeValue> {
    (0..count).map(|number| (format!("user-{number}"), text("kept"))).collect()
}

/// The names of a message's attributes that aren't the user's, in order.
pub(crate) fn added(message: &Value) -> Vec<String> {
    let names = message["MessageAttributes"].as_object().into_iter().flatten();
    let names = names.map(|(name, _)| name.clone()).filter(|name| !name.starts_with("user-"));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// The value of an attribute.
pub(crate) fn attribute<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    message["MessageAttributes"][name]["StringValue"].as_str()
}

/// The value of `AWSTraceHeader`.
pub(crate) fn header(message: &Value) -> Option<&str> {
    message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].as_str()
}
