use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_sqs::types::Message as SdkMessage;
use throughline_core::metrics::Operation;
use throughline_core::{BoundarySpan, Config, Description, Extraction, messaging, semconv};

use super::span::Place;
use super::{Delivery, Message};
use crate::extract::MessageContext;
use crate::settings::Settings;

const PROCESS: &str = "process";

/// How messages are taken in that came in some other way than by a [`Queue`](crate::Queue): from a
/// client of your own, or in an event of AWS Lambda. To delete them is left to you.
///
/// A receive has to ask for what the trace travels by, and for what is told of a message. A client with
/// an [`Interceptor`](crate::Interceptor) does so by itself; any other is told to:
///
/// ```
/// use aws_sdk_sqs::types::MessageSystemAttributeName;
/// use throughline_sqs::{Deliveries, Message};
///
/// # async fn handle(_: Message<'_>) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(sqs: aws_sdk_sqs::Client, url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let deliveries = Deliveries::of(url).expect_parent(true);
/// let poll = sqs.receive_message().queue_url(url).message_attribute_names("All");
/// let poll = poll.message_system_attribute_names(MessageSystemAttributeName::All);
/// let received = poll.send().await?;
/// for message in received.messages.unwrap_or_default() {
///     let receipt = message.receipt_handle.clone();
///     let delivery = deliveries.delivery(message);
///     if let Err(error) = delivery.process(async |message| handle(message).await).await {
///         eprintln!("it comes again: {error}");
///         continue;
///     }
///     sqs.delete_message().queue_url(url).set_receipt_handle(receipt).send().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Deliveries {
    settings: Arc<Settings>,
    place: Arc<Place>,
    /// Whether nobody else does: messages are counted where they are received.
    counts: bool,
}

impl Default for Deliveries {
    fn default() -> Self {
        Deliveries {
            settings: Arc::new(Settings::new()),
            place: Arc::new(Place::unknown()),
            counts: false,
        }
    }
}

impl Deliveries {
    /// From the queue of this URL, with OpenTelemetry's global provider and propagator.
    #[must_use]
    pub fn of(queue_url: impl AsRef<str>) -> Self {
        Deliveries { place: Arc::new(Place::of_url(queue_url.as_ref())), ..Deliveries::default() }
    }

    /// The same for messages that no client received, from the queue of this ARN, whose last part is
    /// its name, unless the queue is known.
    #[cfg(feature = "lambda")]
    pub(crate) fn with_arn(&self, arn: Option<&str>) -> Self {
        let place = match (arn, self.place.name()) {
            (Some(arn), None) => Arc::new(Place::of_arn(arn)),
            _ => Arc::clone(&self.place),
        };
        Deliveries { settings: Arc::clone(&self.settings), place, counts: true }
    }

    /// A message of the queue, to be processed.
    pub fn delivery(&self, message: SdkMessage) -> Delivery {
        Delivery::new(self.clone(), message, None)
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

    /// The URL of the queue, its ARN where that isn't known.
    pub(crate) fn queue(&self) -> &str {
        self.place.id().unwrap_or("an unknown queue")
    }

    crate::settings::inbound_setters!();
    throughline_core::config_setters!();

    /// Takes the context out of a message.
    pub(super) fn extract(&self, message: &SdkMessage) -> Extraction {
        self.settings.config.extract(&MessageContext::of(message, &self.settings))
    }

    /// Starts the span of a message, in the trace that it came with. Whatever is current here, the
    /// consumer's own loop for one, is linked to; or the other way round.
    pub(super) fn start(&self, message: Message<'_>, extraction: Extraction) -> BoundarySpan {
        let config = &self.settings.config;
        let how = (self.settings.creation_context, config.expects_parent());
        let mut span = messaging::process(config, extraction, how, || self.describe(message));
        if config.is_measured()
            && let Some(measure) = self.place.measure(config, Operation::MessagingProcess, PROCESS)
        {
            if self.counts {
                measure.messages(1);
            }
            span.measured(measure);
        }
        span
    }

    fn describe(&self, message: Message<'_>) -> Description {
        let mut span = self.place.describe(PROCESS, PROCESS);
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
