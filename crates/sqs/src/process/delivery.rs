use std::fmt;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::{LazyLock, OnceLock};
use std::time::SystemTime;

use aws_sdk_sqs::types::Message as SdkMessage;
use futures_util::FutureExt;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::http::redact_text;
use throughline_core::{BoundarySpan, End, Extraction, panic_message};

use super::{Deliveries, Message, OwnedMessage};
use crate::queue::Lease;

/// A message that was received, and is still to be processed.
///
/// It tells which message it is and which trace it belongs to. Its body and attributes are given up
/// only inside [`process`](Self::process), where that trace is current: there is no way to handle a
/// message outside of its context.
///
/// What a [`Queue`](crate::Queue) received is deleted when its handler has succeeded. Until then the
/// message stays invisible to others, however long its handler takes or it waits for one, up to the
/// twelve hours after which SQS gives it to others. A message
/// whose handler fails, panics or is dropped comes again after a while; one that is dropped
/// unprocessed is given back at once.
///
/// A message that came in another way is yours to delete.
#[must_use = "a message that isn't processed comes again"]
pub struct Delivery {
    // Made when it is first asked for.
    extraction: OnceLock<Extraction>,
    deliveries: Deliveries,
    message: SdkMessage,
    lease: Option<Lease>,
}

/// How the handler of a runner has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handled {
    Ok,
    /// It comes again: what is behind it in its order has to wait.
    Failed,
}

impl Delivery {
    pub(crate) fn new(deliveries: Deliveries, message: SdkMessage, lease: Option<Lease>) -> Self {
        Delivery { extraction: OnceLock::new(), deliveries, message, lease }
    }

    /// Any message that was received, with OpenTelemetry's global provider and propagator; it has
    /// to be asked for with its attributes. To delete it is left to the caller.
    ///
    /// The name of its span lacks that of the queue, which a message doesn't tell:
    /// [`Deliveries::of`] knows it.
    pub fn from_message(message: SdkMessage) -> Self {
        static GLOBAL: LazyLock<Deliveries> = LazyLock::new(Deliveries::default);
        GLOBAL.delivery(message)
    }

    fn message(&self) -> Message<'_> {
        Message::new(&self.message)
    }

    /// The id that SQS gave it.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.message().message_id()
    }

    /// The group in which it has its order.
    #[must_use]
    pub fn group_id(&self) -> Option<&str> {
        self.message().group_id()
    }

    /// How often it was received, this time included.
    #[must_use]
    pub fn receive_count(&self) -> Option<u32> {
        self.message().receive_count()
    }

    /// When it was sent, by the clock of SQS.
    #[must_use]
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.message().sent_at()
    }

    /// The span whose trace it continues, or would, were it not told to be
    /// [linked](crate::CreationContext::Link); `None` where it carries none that is valid and trusted.
    #[must_use]
    pub fn parent(&self) -> Option<SpanContext> {
        let extraction = self.extraction.get_or_init(|| self.deliveries.extract(&self.message));
        let parent = extraction.context().span().span_context().clone();
        parent.is_valid().then_some(parent)
    }

    fn start(self) -> Started {
        let Delivery { extraction, deliveries, message, mut lease } = self;
        if let Some(lease) = &mut lease {
            lease.start();
        }
        let extraction = extraction.into_inner().unwrap_or_else(|| deliveries.extract(&message));
        let span = deliveries.start(Message::new(&message), extraction);
        Started { span, deliveries, message, lease }
    }

    /// Handles the message: `handler` runs in a span of kind CONSUMER, in the message's trace.
    ///
    /// When it returns `Ok`, a message from a [`Queue`](crate::Queue) is deleted, soon and together
    /// with others: [`Queue::flush`](crate::Queue::flush) waits for it.
    ///
    /// To drop the future before it is done cancels the handler; the message comes again.
    ///
    /// # Errors
    ///
    /// The handler's own. The message is not deleted then, and comes again.
    pub async fn process<T, E, F>(self, handler: F) -> Result<T, E>
    where
        F: AsyncFnOnce(Message<'_>) -> Result<T, E>,
        E: Display,
    {
        let Started { span, message, lease, .. } = self.start();
        let message = Message::new(&message);
        // In a block: the call that makes the future is in the context as well.
        let (result, span) = span.process(async move { handler(message).await }).await;
        match &result {
            Ok(_) => {
                span.end(End::Completed);
                if let Some(lease) = lease {
                    lease.delete();
                }
            }
            // The lease is dropped: it comes again.
            Err(error) => span.end(End::failed_saying::<E>(error)),
        }
        result
    }

    /// The same for a runner: the handler owns the message, and a panic stays here.
    pub(crate) async fn handle<T, E, Fut>(
        self,
        handler: impl FnOnce(OwnedMessage) -> Fut,
    ) -> Handled
    where
        Fut: Future<Output = Result<T, E>>,
        E: Display,
    {
        let Started { span, deliveries, message, lease } = self.start();
        let message = OwnedMessage::new(message);
        let told = message.clone();
        let tell = |error: &str| tell_failure(&deliveries, told.as_message(), error);
        // All that is the user's is in there: to print an error, or to drop it, may panic as well.
        let work = AssertUnwindSafe(async {
            match handler(message).await {
                Ok(_) => End::Completed,
                Err(error) => {
                    tell(&format!("{error:#}"));
                    End::failed_saying::<E>(&error)
                }
            }
        });
        let (result, mut span) = span.process(work.catch_unwind()).await;
        let end = result.unwrap_or_else(|panic| {
            let said = format!("its handler panicked: {}", panic_message(&*panic));
            span.enter(|| tell(&said));
            End::Panicked
        });
        let is_ok = end == End::Completed;
        span.end(end);
        let is_done = match lease {
            Some(lease) if is_ok => lease.delete_in_order().await,
            _ => is_ok,
        };
        if is_done { Handled::Ok } else { Handled::Failed }
    }
}

/// A message that is being processed.
struct Started {
    span: BoundarySpan,
    deliveries: Deliveries,
    message: SdkMessage,
    lease: Option<Lease>,
}

/// Where nobody else does; in the message's trace, so that the line tells of it.
pub(crate) fn tell_failure(deliveries: &Deliveries, message: Message<'_>, error: &str) {
    let error = &*redact_text(error);
    let queue = deliveries.queue();
    let (message_id, receive_count) = (message.message_id(), message.receive_count());
    tracing::warn!(
        queue,
        message_id,
        receive_count,
        error,
        "a message failed: it comes again, unless the queue's redrive policy takes it"
    );
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("queue", &self.deliveries.queue())
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}
