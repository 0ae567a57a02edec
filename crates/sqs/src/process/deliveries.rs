use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_sqs::types::Message as SdkMessage;
use throughline_core::http::shared_str;
use throughline_core::messaging::{self, Destination, destination};
use throughline_core::metrics::Operation;
use throughline_core::{BoundarySpan, Config, Description, Extraction, semconv};

use super::span::shown;
use super::{Delivery, Message};
use crate::extract::MessageContext;
use crate::settings::Settings;

const SYSTEM: &str = "aws.sqs";
const PROCESS: &str = "process";

/// Room for the attributes below, for how it ended, and for a few of the handler's.
const CAPACITY: usize = 12;

/// How messages are taken in that came in some other way than by a [`Queue`](crate::Queue): from a
/// client of your own, or in an event of AWS Lambda. To delete them is left to you.
///
/// ```
/// use throughline_sqs::Deliveries;
///
/// # async fn handle(_: &throughline_sqs::Message) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(sqs: aws_sdk_sqs::Client, url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let deliveries = Deliveries::of(url).expect_parent(true);
/// let received = sqs.receive_message().queue_url(url).message_attribute_names("All").send().await?;
/// for message in received.messages.unwrap_or_default() {
///     let receipt = message.receipt_handle.clone();
///     deliveries.delivery(message).process(async |message| handle(message).await).await?;
///     sqs.delete_message().queue_url(url).set_receipt_handle(receipt).send().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Deliveries {
    settings: Arc<Settings>,
    source: Arc<Source>,
    /// Whether nobody else does: messages are counted where they are received.
    counts: bool,
}

/// Where messages come from, as their spans tell it.
#[derive(Clone, Debug, Default)]
struct Source {
    url: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Deliveries { settings: Arc::new(Settings::new()), source: Arc::default(), counts: false }
    }
}

impl Deliveries {
    /// From the queue of this URL, with OpenTelemetry's global provider and propagator.
    #[must_use]
    pub fn of(queue_url: impl AsRef<str>) -> Self {
        let url = &*shown(queue_url.as_ref());
        let name = url.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
        let source = Source { url: Some(shared(url)), name: name.map(Arc::from) };
        Deliveries { source: Arc::new(source), ..Deliveries::default() }
    }

    /// The same for messages that no client received, from the queue of this ARN, whose last part is
    /// its name, unless the queue is known.
    #[cfg(feature = "lambda")]
    pub(crate) fn with_arn(&self, arn: Option<&str>) -> Self {
        let name = arn.and_then(|arn| arn.rsplit(':').next()).filter(|name| !name.is_empty());
        let source = match (name, &self.source.name) {
            (Some(name), None) => Arc::new(Source { url: None, name: Some(Arc::from(name)) }),
            _ => Arc::clone(&self.source),
        };
        Deliveries { settings: Arc::clone(&self.settings), source, counts: true }
    }

    /// A message of the queue, to be processed.
    pub fn delivery(&self, message: SdkMessage) -> Delivery {
        Delivery::new(self.clone(), Message::new(message), None)
    }

    pub(crate) fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        change(&mut settings);
        Deliveries { settings: Arc::new(settings), ..self }
    }

    fn map(self, map: impl FnOnce(Config) -> Config) -> Self {
        self.change(|settings| settings.config = map(settings.config.clone()))
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The URL of the queue, its name where that isn't known.
    pub(crate) fn queue(&self) -> Arc<str> {
        let Source { url, name } = &*self.source;
        url.clone().or_else(|| name.clone()).unwrap_or_else(|| Arc::from("an unknown queue"))
    }

    crate::settings::inbound_setters!();
    throughline_core::config_setters!();

    /// Takes the context out of a message.
    pub(super) fn extract(&self, message: &Message) -> Extraction {
        self.settings.config.extract(&MessageContext::of(message.inner(), &self.settings))
    }

    /// Starts the span of a message, in the trace that it came with. Whatever is current here, the
    /// consumer's own loop for one, is linked to; or the other way round.
    pub(super) fn start(&self, message: &Message, extraction: Extraction) -> BoundarySpan {
        let config = &self.settings.config;
        let how = (self.settings.creation_context, config.expects_parent());
        let mut span = messaging::process(config, extraction, how, || self.describe(message));
        if config.is_measured() {
            let measure =
                config.measure(Operation::MessagingProcess, |labels| match self.named() {
                    Some(destination) => messaging::label(SYSTEM, PROCESS, destination, labels),
                    None => {
                        labels.set(semconv::MESSAGING_SYSTEM_NAME, SYSTEM);
                        labels.set(semconv::MESSAGING_OPERATION_NAME, PROCESS);
                    }
                });
            if let Some(measure) = measure {
                if self.counts {
                    measure.messages(1);
                }
                span.measured(measure);
            }
        }
        span
    }

    fn named(&self) -> Option<Destination> {
        self.source.name.as_deref().map(|name| destination(PROCESS, name))
    }

    fn describe(&self, message: &Message) -> Description {
        let (name, destination) = match self.named() {
            Some(Destination { name, destination }) => (name, Some(destination)),
            None => (PROCESS.into(), None),
        };
        let mut span = Description::new(name, CAPACITY);
        messaging::set_system(&mut span, SYSTEM);
        span.set(semconv::MESSAGING_OPERATION_NAME, PROCESS);
        span.set(semconv::MESSAGING_OPERATION_TYPE, PROCESS);
        if let Some(destination) = destination {
            span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
        }
        if let Some(url) = &self.source.url {
            span.set(semconv::AWS_SQS_QUEUE_URL, Arc::clone(url));
        }
        let id = message.message_id();
        if !id.is_empty() {
            span.set(semconv::MESSAGING_MESSAGE_ID, id.to_owned());
        }
        if let Some(sent) = message.sent_at() {
            // Their clock may be ahead of ours.
            let age = SystemTime::now().duration_since(sent).unwrap_or_default().as_millis();
            span.set(semconv::THROUGHLINE_MESSAGE_AGE, i64::try_from(age).unwrap_or(i64::MAX));
        }
        span
    }
}

fn shared(text: &str) -> Arc<str> {
    shared_str(text.as_bytes()).unwrap_or_else(|| Arc::from(text))
}
