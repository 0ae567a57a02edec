//! What a span of SQS is started with.

use std::borrow::Cow;
use std::sync::Arc;

use aws_sdk_sqs::config::ConfigBag;
use aws_smithy_runtime_api::client::endpoint::EndpointResolverParams;
use aws_smithy_types::endpoint::Endpoint;
use opentelemetry::Value;
use throughline_core::http::{Host, origin, redact_url, shared_str};
use throughline_core::messaging::{self, Destination, destination, set_system};
use throughline_core::metrics::{Measure, Operation};
use throughline_core::{Config, Description, semconv};

/// Room for the attributes below, for those of a message or of the end, and for a few of a handler's.
const CAPACITY: usize = 14;

const SQS: &str = "aws.sqs";

pub(super) const SEND: &str = "send";
pub(super) const CREATE: &str = "create";
pub(super) const RECEIVE: &str = "receive";
pub(super) const SETTLE: &str = "settle";

/// Where a message goes, or comes from.
#[derive(Clone, Debug)]
pub(super) struct Place {
    system: &'static str,
    /// As what spans tell `id`: the URL of a queue, or the ARN of a topic; not the ARN of a queue.
    key: Option<&'static str>,
    id: Option<Arc<str>>,
    server: Option<Host>,
}

impl Place {
    /// The queue of a call.
    pub(super) fn queue(url: Option<&str>, cfg: &ConfigBag) -> Self {
        let params = cfg.load::<EndpointResolverParams>();
        let params =
            params.and_then(|params| params.get::<aws_sdk_sqs::config::endpoint::Params>());
        // Calls go there, whatever host the URL names.
        let server = params.and_then(|params| params.endpoint()).or(url).and_then(origin);
        let id = url.map(|url| shared(&shown(url)));
        Place { system: SQS, key: Some(semconv::AWS_SQS_QUEUE_URL), id, server }
    }

    /// The queue of this URL, whoever calls it.
    pub(super) fn of_url(url: &str) -> Self {
        let (id, server) = (Some(shared(&shown(url))), origin(url));
        Place { system: SQS, key: Some(semconv::AWS_SQS_QUEUE_URL), id, server }
    }

    /// The queue of this ARN.
    #[cfg(feature = "lambda")]
    pub(super) fn of_arn(arn: &str) -> Self {
        Place { system: SQS, key: None, id: Some(shared(arn)), server: None }
    }

    /// Any queue.
    pub(super) fn unknown() -> Self {
        Place { system: SQS, key: None, id: None, server: None }
    }

    /// Its URL or ARN.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The topic of a call. The SDK tells the host that it goes to only afterwards, unless it was
    /// told.
    #[cfg(feature = "sns")]
    pub(super) fn topic(arn: &str, cfg: &ConfigBag) -> Self {
        let params = cfg.load::<EndpointResolverParams>();
        let params =
            params.and_then(|params| params.get::<aws_sdk_sns::config::endpoint::Params>());
        let server = params.and_then(|params| params.endpoint()).and_then(origin);
        let key = Some(semconv::AWS_SNS_TOPIC_ARN);
        Place { system: "aws.sns", key, id: Some(shared(arn)), server }
    }

    /// Whether it is known where the call goes.
    pub(super) fn tells_server(&self) -> bool {
        self.server.is_some()
    }

    /// The name at the end of the URL or the ARN.
    pub(super) fn name(&self) -> Option<&str> {
        let id = self.id.as_deref()?.trim_end_matches('/');
        let before = id.bytes().rposition(|byte| matches!(byte, b'/' | b':'));
        let name = &id[before.map_or(0, |place| place + 1)..];
        (!name.is_empty()).then_some(name)
    }

    /// A span of this operation, and of this type.
    pub(super) fn describe(&self, operation: &'static str, kind: &'static str) -> Description {
        let named = self.name().map(|name| destination(operation, name));
        let (name, destination) = match named {
            Some(Destination { name, destination }) => (name, Some(destination)),
            None => (operation.into(), None),
        };
        let mut span = Description::new(name, CAPACITY);
        set_system(&mut span, self.system);
        span.set(semconv::MESSAGING_OPERATION_NAME, operation);
        span.set(semconv::MESSAGING_OPERATION_TYPE, kind);
        if let Some(destination) = destination {
            span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
        }
        if let (Some(key), Some(id)) = (self.key, &self.id) {
            span.set(key, Arc::clone(id));
        }
        if let Some(server) = &self.server {
            span.set_server(server.clone());
        }
        span
    }

    /// Starts to measure an operation.
    #[cold]
    pub(super) fn measure(
        &self,
        config: &Config,
        measured: Operation,
        operation: &'static str,
    ) -> Option<Measure> {
        config.measure(measured, |labels| {
            // Without a queue no call gets as far as to be sent, but a message may be processed.
            let named = destination(operation, self.name().unwrap_or(semconv::OTHER));
            messaging::label(self.system, operation, named, labels);
            if let Some(server) = &self.server {
                labels.set_server(server);
            }
        })
    }
}

/// The URL of a queue without what it needn't have and nobody may read: a user, a password, a query.
fn shown(url: &str) -> Cow<'_, str> {
    if !url.bytes().any(|byte| matches!(byte, b'@' | b'?' | b'#')) {
        return Cow::Borrowed(url);
    }
    redact_url(url.split(['?', '#']).next().unwrap_or_default())
}

fn shared(text: &str) -> Arc<str> {
    shared_str(text.as_bytes()).unwrap_or_else(|| Arc::from(text))
}

/// Where a call went, once it did.
pub(super) fn called(cfg: &ConfigBag) -> Option<Host> {
    origin(cfg.load::<Endpoint>()?.url())
}

/// How many messages a call takes along.
pub(super) fn count(messages: usize) -> Value {
    Value::I64(i64::try_from(messages).unwrap_or(i64::MAX))
}
