use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use throughline_core::Config;

use super::Runner;
use super::drain::in_time;
use super::keeper::{Backoff, Keeper, seconds};
use super::lease::MAX_VISIBILITY;
use super::opened::Opened;
use super::poll::{Left, Poll};
use crate::error::Error;
use crate::process::{Deliveries, Delivery};
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
/// use throughline_sqs::{Error, OwnedMessage, Queue};
///
/// # async fn handle(_: OwnedMessage) -> Result<(), std::io::Error> { Ok(()) }
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
/// # async fn handle(_: Message<'_>) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(queue: Queue) -> Result<(), Box<dyn std::error::Error>> {
/// loop {
///     for delivery in queue.receive().await? {
///         // It comes again, and stops nothing.
///         if let Err(error) = delivery.process(async |message| handle(message).await).await {
///             eprintln!("a message failed: {error}");
///         }
///     }
/// }
/// # }
/// ```
///
/// Messages that were received stay invisible to others until they are deleted or given back. A
/// thread of the queue's own sees to that, so a handler may block the one it runs on. A message that
/// keeps failing is left to the queue's redrive policy, which takes its trace along.
///
/// The client may be any: an [`Interceptor`](crate::Interceptor) on it is used, and where it has none,
/// one is added that does as the queue was told.
pub struct Queue {
    pub(super) client: Client,
    pub(super) url: Arc<str>,
    pub(super) deliveries: Deliveries,
    pub(super) wait_time: Duration,
    pub(super) visibility: Duration,
    /// As many as its kind of queue suffers, unless told otherwise.
    max_messages: Option<usize>,
    pub(super) backoff: Backoff,
    opened: Mutex<Option<Opened>>,
    /// Polls whose receives were dropped.
    left: Left,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("url", &self.shown())
            .field("wait_time", &self.wait_time)
            .field("visibility_timeout", &self.visibility)
            .field("max_messages", &self.most())
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// The queue of this URL, with OpenTelemetry's global provider and propagator.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        Queue {
            client,
            deliveries: Deliveries::of(&url),
            url: url.into(),
            wait_time: MAX_WAIT,
            visibility: VISIBILITY,
            max_messages: None,
            backoff: BACKOFF,
            opened: Mutex::new(None),
            left: Left::default(),
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
    ///
    /// Where the timeouts of the client are shorter, those of polls are longer than this.
    #[must_use]
    pub fn wait_time(self, time: Duration) -> Self {
        Queue { wait_time: time.min(MAX_WAIT), ..self }
    }

    /// How long a message stays invisible to others after the process that has it died, in whole
    /// seconds; 30 of them unless told otherwise. It holds in place of the queue's own, and is no
    /// limit for handlers: while one runs it is extended, for the twelve hours that SQS allows.
    #[must_use]
    pub fn visibility_timeout(self, time: Duration) -> Self {
        let seconds = u64::try_from(seconds(time)).unwrap_or_default();
        Queue { visibility: Duration::from_secs(seconds.clamp(1, MAX_VISIBILITY)), ..self }
    }

    /// How many messages are received at once, at the most: ten, which is the most, and one of a FIFO
    /// queue, unless told otherwise.
    ///
    /// More than one of a FIFO queue may be of the same group. If the first of those fails, a
    /// [`Runner`] gives back the others, and SQS counts a receive for each: with a redrive policy
    /// they can be dead before they were handled once. A loop over [`receive`](Self::receive) has to
    /// do that itself: whoever goes on behind a failure changes the order. With one at once SQS holds
    /// back the rest of the group until the message is deleted, or has come again and gone well.
    #[must_use]
    pub fn max_messages(self, messages: usize) -> Self {
        Queue { max_messages: Some(messages.clamp(1, MAX_MESSAGES)), ..self }
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
    /// To drop the future loses nothing, in a `select!` for one: what it would have brought is for the
    /// next call, and kept invisible until then. Whoever calls no more [flushes](Self::flush), or drops
    /// the queue: then it is given back.
    ///
    /// # Errors
    ///
    /// When nothing could be received. If it [is transient](Error::is_transient), the next call may
    /// go well; the SDK has made its tries. When the right was missing to delete what was received
    /// before, or to change its visibility: it would only be handled again and again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn receive(&self) -> Result<Vec<Delivery>, Error> {
        self.receive_up_to(self.most()).await
    }

    pub(super) fn most(&self) -> usize {
        self.max_messages.unwrap_or(if self.is_fifo() { 1 } else { MAX_MESSAGES })
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.shown().trim_end_matches('/').ends_with(".fifo")
    }

    /// Its URL, as errors and lines show it.
    pub(super) fn shown(&self) -> &str {
        self.deliveries.queue()
    }

    pub(super) async fn receive_up_to(&self, most: usize) -> Result<Vec<Delivery>, Error> {
        let opened = self.open()?;
        opened.keeper.may()?;
        // What others have left behind comes first.
        while let Some(poll) = self.left.take() {
            let is_old = poll.is_done();
            match self.left.wait(poll).await {
                // Old news, and none.
                Some(Ok(received)) if is_old && received.is_empty() => {}
                Some(Err(error)) if is_old && error.is_transient() => {}
                // The runtime on which it was is gone.
                None => {}
                Some(received) => return received,
            }
        }
        let poll = Poll::start(self, opened, most.clamp(1, self.most()));
        let stopped = || Err(Error::Stopped { queue: self.shown().into() });
        self.left.wait(poll).await.unwrap_or_else(stopped)
    }

    /// Waits for polls that were left behind, and gives back what they bring.
    pub(super) async fn leave_nothing(&self) {
        while let Some(poll) = self.left.take() {
            drop(self.left.wait(poll).await);
        }
    }

    /// Waits until all messages that were handled so far are deleted, and those given back that
    /// weren't. A [receive](Self::receive) whose future was dropped is waited for, up to the
    /// [wait time](Self::wait_time) and five seconds, and what it brings is given back: received once
    /// more than it was handled, as the queue's redrive policy counts.
    ///
    /// # Errors
    ///
    /// When messages could not be deleted since the last call, though it was tried for a while; and
    /// when the right was missing to delete them, or to change their visibility.
    pub async fn flush(&self) -> Result<(), Error> {
        let Some(keeper) = self.keeper() else { return Ok(()) };
        in_time(self, self.leave_nothing()).await;
        keeper.settled().await;
        keeper.report(false).await
    }

    pub(super) fn keeper(&self) -> Option<Arc<Keeper>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().map(|opened| Arc::clone(&opened.keeper))
    }

    pub(super) fn open(&self) -> Result<Opened, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let new = Opened::new(self)?;
        Ok(opened.insert(new).clone())
    }
}
