use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{Message as SdkMessage, MessageSystemAttributeName};
use opentelemetry::Context;
use throughline_core::{Config, InContext};

use super::keeper::{Backoff, Keeper, seconds};
use super::lease::MAX_VISIBILITY;
use super::{Runner, calls};
use crate::error::Error;
use crate::process::{Deliveries, Delivery, Interceptor, Message};
use crate::settings::Settings;

/// SQS gives out no more at once.
const MAX_MESSAGES: usize = 10;

/// SQS waits no longer.
const MAX_WAIT: Duration = Duration::from_secs(20);

const VISIBILITY: Duration = Duration::from_secs(30);
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), max: Duration::from_secs(5 * 60) };

/// A queue that is read: its messages are handled in their traces, and deleted when that has
/// succeeded.
///
/// Several at once, by [`runner`](Self::runner):
///
/// ```no_run
/// use throughline_sqs::{Error, Message, Queue};
///
/// # async fn handle(_: Message) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(sqs: aws_sdk_sqs::Client, url: String) -> Result<(), Error> {
/// Queue::new(sqs, url)
///     .runner()
///     .concurrency(8)
///     .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
///     .run(|message| async move { handle(message).await })
///     .await
/// # }
/// ```
///
/// In a loop of your own, by [`receive`](Self::receive):
///
/// ```no_run
/// # use throughline_sqs::{Message, Queue};
/// # async fn handle(_: &Message) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(queue: Queue) -> Result<(), Box<dyn std::error::Error>> {
/// loop {
///     for delivery in queue.receive().await? {
///         delivery.process(async |message| handle(message).await).await?;
///     }
/// }
/// # }
/// ```
///
/// Messages that were received stay invisible to others until they are deleted or given back. A
/// thread of the queue's own sees to that, so a handler may block the one it runs on. A message that
/// keeps failing is left to the queue's redrive policy, which takes its trace along.
///
/// The client may be any: an [`Interceptor`] on it is used, and where it has none, one is added that
/// does as the queue was told.
pub struct Queue {
    client: Client,
    url: Arc<str>,
    /// The same, as errors and lines show it.
    shown: Arc<str>,
    deliveries: Deliveries,
    wait_time: Duration,
    visibility: Duration,
    max_messages: usize,
    backoff: Backoff,
    opened: Mutex<Option<Opened>>,
}

/// What is made with the first call.
#[derive(Clone)]
struct Opened {
    client: Client,
    keeper: Arc<Keeper>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("url", &self.shown)
            .field("wait_time", &self.wait_time)
            .field("visibility_timeout", &self.visibility)
            .field("max_messages", &self.max_messages)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// The queue of this URL, with OpenTelemetry's global provider and propagator.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        let deliveries = Deliveries::of(&url);
        Queue {
            client,
            shown: deliveries.queue(),
            deliveries,
            url: url.into(),
            wait_time: MAX_WAIT,
            visibility: VISIBILITY,
            max_messages: MAX_MESSAGES,
            backoff: BACKOFF,
            opened: Mutex::new(None),
        }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        Queue { deliveries: self.deliveries.change(change), ..self }
    }

    fn map(self, map: impl FnOnce(Config) -> Config) -> Self {
        self.change(|settings| settings.config = map(settings.config.clone()))
    }

    crate::settings::inbound_setters!();
    throughline_core::config_setters!();

    /// How long SQS waits for messages before it answers that there are none; 20 seconds unless
    /// told otherwise, which is the most. A runner that stops waits as long.
    #[must_use]
    pub fn wait_time(self, time: Duration) -> Self {
        Queue { wait_time: time.min(MAX_WAIT), ..self }
    }

    /// How long a message stays invisible to others after the process that has it died, in whole
    /// seconds; 30 of them unless told otherwise. It holds in place of the queue's own, and is no
    /// limit for handlers: while one runs it is extended.
    #[must_use]
    pub fn visibility_timeout(self, time: Duration) -> Self {
        let seconds = u64::try_from(seconds(time)).unwrap_or_default();
        Queue { visibility: Duration::from_secs(seconds.clamp(1, MAX_VISIBILITY)), ..self }
    }

    /// How many messages are received at once, at the most; ten unless told otherwise, which is the
    /// most.
    #[must_use]
    pub fn max_messages(self, messages: usize) -> Self {
        Queue { max_messages: messages.clamp(1, MAX_MESSAGES), ..self }
    }

    /// How long a message that has failed stays invisible: `first`, twice that when it fails again,
    /// and so on up to `max`, in whole seconds. A second and five minutes unless told otherwise.
    #[must_use]
    pub fn backoff(self, first: Duration, max: Duration) -> Self {
        Queue { backoff: Backoff { first, max }, ..self }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A loop that handles several messages at once.
    pub fn runner(self) -> Runner {
        Runner::new(self)
    }

    /// Waits for messages once. There may be none.
    ///
    /// To drop the future loses nothing: what it would have brought is given back.
    ///
    /// # Errors
    ///
    /// When nothing could be received. If it [is transient](Error::is_transient), the next call may
    /// go well; the SDK has made its tries.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn receive(&self) -> Result<Vec<Delivery>, Error> {
        self.receive_up_to(self.max_messages).await
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn most(&self) -> usize {
        self.max_messages
    }

    pub(super) async fn receive_up_to(&self, most: usize) -> Result<Vec<Delivery>, Error> {
        let Opened { client, keeper } = self.open()?;
        let most = i32::try_from(most.clamp(1, self.max_messages)).unwrap_or(1);
        let (shown, deliveries) = (Arc::clone(&self.shown), self.deliveries.clone());
        let request = client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(most)
            .wait_time_seconds(seconds(self.wait_time))
            .visibility_timeout(seconds(self.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let poll = async move {
            let output = request.send().await.map_err(|source| failed(shown, source))?;
            let messages = output.messages.unwrap_or_default().into_iter();
            Ok(messages.filter_map(|it| take(it, &deliveries, &keeper)).collect())
        };
        // In a task: whoever waits may go, and the answer must not be lost.
        #[expect(clippy::disallowed_methods, reason = "the context is kept")]
        let poll = tokio::spawn(InContext::new(poll, Context::current()));
        match poll.await {
            Ok(received) => received,
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Stopped { queue: Arc::clone(&self.shown) }),
            },
        }
    }

    /// Waits until all messages that were handled so far are deleted, and those given back that
    /// weren't.
    ///
    /// # Errors
    ///
    /// When messages could not be deleted since the last call, though it was tried for a while.
    pub async fn flush(&self) -> Result<(), Error> {
        let Some(keeper) = self.keeper() else { return Ok(()) };
        let messages = keeper.flush().await;
        match messages.is_empty() {
            true => Ok(()),
            false => Err(Error::NotDeleted { queue: Arc::clone(&self.shown), messages }),
        }
    }

    pub(super) fn keeper(&self) -> Option<Arc<Keeper>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().map(|opened| Arc::clone(&opened.keeper))
    }

    fn open(&self) -> Result<Opened, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        // Where the client has one, the one that was registered first does all there is to do.
        let interceptor = Interceptor::of(Arc::clone(self.deliveries.settings()));
        let config = self.client.config().to_builder().interceptor(interceptor).build();
        let keeping = config.to_builder().timeout_config(self.timeouts()).build();
        let keeping = Client::from_conf(keeping);
        let (url, shown) = (Arc::clone(&self.url), Arc::clone(&self.shown));
        let keeper = Keeper::start(keeping, (url, shown), self.visibility, self.backoff);
        let thread = |source| Error::Thread { queue: Arc::clone(&self.shown), source };
        let keeper = keeper.map_err(thread)?;
        let client = Client::from_conf(config);
        Ok(opened.insert(Opened { client, keeper }).clone())
    }

    /// Of the calls that keep messages. A late one is of no use; and with timeouts that nobody else
    /// has, the SDK shares no connection with others, on whose runtime a handler may block.
    fn timeouts(&self) -> TimeoutConfig {
        // What isn't set stays the SDK's default.
        let held = self.client.config().timeout_config();
        let held = held.map(TimeoutConfig::to_builder).unwrap_or_default();
        let time = self.visibility / 3;
        let time = time.clamp(Duration::from_secs(1), Duration::from_secs(10));
        held.read_timeout(time + Duration::from_nanos(1)).build()
    }
}

fn take(message: SdkMessage, deliveries: &Deliveries, keeper: &Arc<Keeper>) -> Option<Delivery> {
    let Some(receipt) = message.receipt_handle.clone() else {
        let (queue, message_id) = (deliveries.queue(), message.message_id());
        tracing::error!(%queue, message_id, "SQS gave no receipt for a message: it comes again");
        return None;
    };
    let id = message.message_id.clone().unwrap_or_default();
    let message = Message::new(message);
    let lease = keeper.hold(receipt, id, message.receive_count().unwrap_or(1));
    Some(Delivery::new(deliveries.clone(), message, Some(lease)))
}

fn failed(queue: Arc<str>, source: SdkError<ReceiveMessageError>) -> Error {
    let source = Box::new(source);
    match source.code() {
        Some(code) if calls::is_gone(code) => Error::QueueDoesNotExist { queue, source },
        Some(code) if calls::is_denied(code) => Error::AccessDenied { queue, source },
        _ => Error::Receive { queue, source },
    }
}

/// Whether another try may go better.
pub(crate) fn is_transient(error: &SdkError<ReceiveMessageError>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        _ => !error.code().is_some_and(calls::is_final),
    }
}
