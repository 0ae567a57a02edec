//! A server, a client that sends, and queues that nobody else has.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Builder, Config, Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName as Name};
use throughline_sqs::{Interceptor, Queue};
use throughline_testing::Recorder;
use throughline_testing::embedded::Sqs;
use tokio::sync::Notify;

pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The context that messages are sent with, where no interceptor writes one.
pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Where the tests run: on the embedded SQS, or on a real one that `SQS_ENDPOINT` names.
pub(crate) struct Rig {
    embedded: Option<Sqs>,
    endpoint: String,
    /// Without an interceptor.
    pub(crate) raw: Client,
    pub(crate) recorder: Recorder,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let endpoint = std::env::var("SQS_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
        let required = std::env::var("THROUGHLINE_NATIVE").is_ok_and(|it| it == "required");
        match endpoint {
            Some(endpoint) => Rig::at(endpoint, None),
            None if required => panic!("THROUGHLINE_NATIVE=required, and no SQS_ENDPOINT"),
            None => Rig::embedded(),
        }
    }

    /// For tests in which the server fails as it is told.
    pub(crate) fn embedded() -> Self {
        let sqs = Sqs::start().expect("an embedded SQS");
        Rig::at(sqs.endpoint().to_owned(), Some(sqs))
    }

    fn at(endpoint: String, embedded: Option<Sqs>) -> Self {
        let raw = Client::from_conf(config(&endpoint).build());
        Rig { embedded, endpoint, raw, recorder: Recorder::new() }
    }

    pub(crate) fn sqs(&self) -> &Sqs {
        self.embedded.as_ref().expect("only the embedded server is told so")
    }

    /// A client whose sends and receives are traced by its own interceptor.
    pub(crate) fn traced(&self) -> Client {
        self.traced_into(&self.recorder)
    }

    /// The same, with a recorder of its own.
    pub(crate) fn traced_into(&self, recorder: &Recorder) -> Client {
        let interceptor = Interceptor::new().with_tracer_provider(&recorder.provider());
        Client::from_conf(config(&self.endpoint).interceptor(interceptor).build())
    }

    /// A client of a service that can't reach anything.
    pub(crate) fn at_port(port: u16) -> Client {
        Client::from_conf(config(&format!("http://127.0.0.1:{port}")).build())
    }

    /// The queue as a service reads it: by a client that knows nothing of traces.
    pub(crate) fn read(&self, url: &str) -> Queue {
        self.read_by(self.raw.clone(), url)
    }

    pub(crate) fn read_by(&self, client: Client, url: &str) -> Queue {
        Queue::new(client, url)
            .wait_time(Duration::from_secs(1))
            .backoff(Duration::ZERO, Duration::ZERO)
            .with_tracer_provider(&self.recorder.provider())
    }

    /// Lets time pass: a real server has no other clock than ours.
    pub(crate) async fn pass(&self, time: Duration) {
        match &self.embedded {
            Some(sqs) => sqs.advance(time),
            None => tokio::time::sleep(time + Duration::from_millis(100)).await,
        }
    }

    /// Creates a queue of a new name, and returns its URL.
    pub(crate) async fn queue(&self, attributes: &[(Name, &str)]) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let is_fifo = attributes.iter().any(|(name, _)| *name == Name::FifoQueue);
        let suffix = if is_fifo { ".fifo" } else { "" };
        let number = NUMBER.fetch_add(1, SeqCst);
        let name = format!("orders-{}-{number}{suffix}", std::process::id());
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let request = self.raw.create_queue().queue_name(name);
        let created = request.set_attributes(Some(attributes)).send().await.expect("a queue");
        created.queue_url.expect("a URL")
    }

    pub(crate) async fn fifo(&self) -> String {
        self.queue(&[(Name::FifoQueue, "true"), (Name::ContentBasedDeduplication, "true")]).await
    }

    /// Creates a queue whose messages go to another one when they were received so often, and that
    /// one: both FIFO, or neither.
    pub(crate) async fn with_dead_letters(&self, is_fifo: bool, receives: u32) -> (String, String) {
        let dead = if is_fifo { self.fifo().await } else { self.queue(&[]).await };
        let request = self.raw.get_queue_attributes().queue_url(&dead);
        let request = request.attribute_names(Name::QueueArn);
        let attributes = request.send().await.expect("an answer").attributes.unwrap_or_default();
        let arn = &attributes[&Name::QueueArn];
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{receives}"}}"#);
        let mut attributes = vec![(Name::RedrivePolicy, &*policy)];
        if is_fifo {
            attributes
                .extend([(Name::FifoQueue, "true"), (Name::ContentBasedDeduplication, "true")]);
        }
        (self.queue(&attributes).await, dead)
    }

    /// Sends a message with the context of [`TRACEPARENT`].
    pub(crate) async fn send(&self, url: &str, body: &str) -> String {
        let request = self.raw.send_message().queue_url(url).message_body(body);
        let request = request.message_attributes("traceparent", text(TRACEPARENT));
        request.send().await.expect("it is sent").message_id.expect("an id")
    }

    pub(crate) async fn send_in_group(&self, url: &str, group: &str, body: &str) {
        let request = self.raw.send_message().queue_url(url).message_body(body);
        let request = request.message_attributes("traceparent", text(TRACEPARENT));
        request.message_group_id(group).send().await.expect("it is sent");
    }

    /// How many messages can be received, and how many are in flight.
    pub(crate) async fn counts(&self, url: &str) -> (u32, u32) {
        let visible = Name::ApproximateNumberOfMessages;
        let in_flight = Name::ApproximateNumberOfMessagesNotVisible;
        let request = self.raw.get_queue_attributes().queue_url(url);
        let request = request.attribute_names(visible.clone()).attribute_names(in_flight.clone());
        let got = request.send().await.expect("an answer").attributes.unwrap_or_default();
        let count = |name| got.get(name).and_then(|it| it.parse().ok()).expect("a number");
        (count(&visible), count(&in_flight))
    }

    /// Waits until the queue has so many that can be received, and that are in flight.
    pub(crate) async fn wait_counts(&self, url: &str, wanted: (u32, u32)) {
        let waiting = async {
            while self.counts(url).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("waited for {wanted:?}, and there are {:?}", self.counts(url).await);
        }
    }

    /// The spans of this kind and name that have ended, without those of other calls.
    pub(crate) fn spans(&self, name: &str) -> Vec<throughline_testing::lineage::Span> {
        let spans = self.recorder.spans();
        spans.into_iter().filter(|span| span.name.starts_with(name)).collect()
    }
}

fn config(endpoint: &str) -> Builder {
    Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        // A thousand polls at once stall on a machine that has other things to do.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
}

pub(crate) fn text(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().expect("an attribute")
}

/// What handlers have seen, and a signal once that is enough.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<(Mutex<Vec<String>>, Notify)>);

impl Seen {
    pub(crate) fn add(&self, body: &str, enough: usize) {
        let mut seen = self.0.0.lock().expect("a lock");
        seen.push(body.to_owned());
        if seen.len() >= enough {
            self.0.1.notify_one();
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().expect("a lock").clone()
    }

    pub(crate) fn enough(&self) -> impl Future<Output = ()> + use<> {
        let this = self.clone();
        async move { this.0.1.notified().await }
    }
}

/// Host and port of a queue's URL.
pub(crate) fn server(url: &str) -> (&str, &str) {
    let authority = url.split('/').nth(2).expect("an authority");
    authority.rsplit_once(':').expect("a port")
}

/// The last part of a queue's URL.
pub(crate) fn name(url: &str) -> &str {
    url.rsplit('/').next().expect("a name")
}

/// Waits no longer than the tests' patience.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}
