//! A server, a client of AWS's own SDK, and queues that nobody else has.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Config, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageAttributeValue, QueueAttributeName};
use throughline_testing::embedded::Sqs;

/// Where it is written down in what ElasticMQ differs.
pub(crate) const DOCUMENTED: &str = include_str!("../../../crates/testing/src/embedded/sqs/mod.rs");

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where the tests run: on the embedded SQS, or on the one that `SQS_ENDPOINT` names.
#[derive(Debug)]
pub(crate) struct Rig {
    embedded: Option<Sqs>,
    endpoint: String,
    pub(crate) client: Client,
}

impl Rig {
    pub(crate) fn new() -> Self {
        match std::env::var("SQS_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => Rig { client: client(&endpoint), endpoint, embedded: None },
            None => {
                let required = std::env::var("THROUGHLINE_NATIVE").as_deref() == Ok("required");
                assert!(!required, "SQS_ENDPOINT is not set, and the native stack is required");
                Rig::embedded()
            }
        }
    }

    /// For tests of what no other server has.
    pub(crate) fn embedded() -> Self {
        let sqs = Sqs::start().expect("an embedded SQS");
        let endpoint = sqs.endpoint().to_owned();
        Rig { client: client(&endpoint), endpoint, embedded: Some(sqs) }
    }

    pub(crate) fn sqs(&self) -> &Sqs {
        self.embedded.as_ref().expect("only the embedded server is told so")
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What is expected here: of our own server what AWS documents, and of ElasticMQ what it does
    /// instead. `what` is the row's name in the documentation of `throughline_testing::embedded::sqs`.
    #[track_caller]
    pub(crate) fn differs<T>(&self, what: &str, aws: T, elasticmq: T) -> T {
        assert!(DOCUMENTED.contains(&format!("//! | {what} |")), "`{what}` has no row");
        if self.embedded.is_some() { aws } else { elasticmq }
    }

    /// Lets time pass: a real server has no other clock than ours.
    pub(crate) async fn pass(&self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        match &self.embedded {
            Some(sqs) => sqs.advance(time),
            None => tokio::time::sleep(time + Duration::from_millis(100)).await,
        }
    }

    /// Creates a queue of a new name, and returns its URL.
    pub(crate) async fn queue(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        let is_fifo =
            |(name, value): &(_, &str)| *name == QueueAttributeName::FifoQueue && *value == "true";
        let suffix = if attributes.iter().any(is_fifo) { ".fifo" } else { "" };
        self.create(&(name() + suffix), attributes).await.expect("a queue")
    }

    pub(crate) async fn fifo(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        let fifo = (QueueAttributeName::FifoQueue, "true");
        self.queue(&[&[fifo], attributes].concat()).await
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        attributes: &[(QueueAttributeName, &str)],
    ) -> Result<String, String> {
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let request = self.client.create_queue().queue_name(name);
        let created = request.set_attributes(Some(attributes)).send().await;
        created.map(|queue| queue.queue_url.expect("a URL")).map_err(|error| code(&error))
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) -> String {
        let sent = self.client.send_message().queue_url(queue).message_body(body).send().await;
        sent.expect("it is sent").message_id.expect("an id")
    }

    /// Up to ten messages that are there.
    pub(crate) async fn receive(&self, queue: &str) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(queue).max_number_of_messages(10);
        request.send().await.expect("an answer").messages.unwrap_or_default()
    }

    /// The one message that is there.
    pub(crate) async fn receive_one(&self, queue: &str) -> Message {
        let mut messages = self.receive(queue).await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    pub(crate) async fn delete(&self, queue: &str, handle: &str) -> Result<(), String> {
        let request = self.client.delete_message().queue_url(queue).receipt_handle(handle);
        request.send().await.map(drop).map_err(|error| code(&error))
    }

    /// Hides a message for so many seconds from now on.
    pub(crate) async fn hide(&self, queue: &str, handle: &str, time: i32) -> Result<(), String> {
        let request = self.client.change_message_visibility().queue_url(queue);
        let request = request.receipt_handle(handle).visibility_timeout(time);
        request.send().await.map(drop).map_err(|error| code(&error))
    }

    pub(crate) async fn attribute(&self, queue: &str, name: QueueAttributeName) -> String {
        let request = self.client.get_queue_attributes().queue_url(queue);
        let got = request.attribute_names(name.clone()).send().await.expect("an answer");
        let mut got = got.attributes.unwrap_or_default();
        assert_eq!(got.len(), 1, "{got:?}");
        got.remove(&name).expect("what was asked for")
    }

    /// How many messages can be received, are in flight, and are delayed.
    pub(crate) async fn counts(&self, queue: &str) -> [String; 3] {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let delayed = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        [
            self.attribute(queue, visible).await,
            self.attribute(queue, in_flight).await,
            self.attribute(queue, delayed).await,
        ]
    }
}

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .build();
    Client::from_conf(config)
}

pub(crate) fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst))
}

/// AWS's name of an error, in its newer form: ElasticMQ doesn't tell the older one, which a client
/// shows if it is told.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    let code = error.code().unwrap_or("no code");
    match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "NonExistentQueue" => "QueueDoesNotExist",
        "QueueAlreadyExists" => "QueueNameExists",
        code => code,
    }
    .to_owned()
}

pub(crate) fn refused<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    match result {
        Ok(_) => "nothing".to_owned(),
        Err(error) => code(&error),
    }
}

pub(crate) fn text(value: &str) -> MessageAttributeValue {
    typed("String", value)
}

pub(crate) fn typed(data_type: &str, value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type(data_type).string_value(value);
    attribute.build().expect("an attribute")
}

pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle().expect("a handle")
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().expect("a body")).collect()
}

/// Waits no longer than the tests' patience.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}
