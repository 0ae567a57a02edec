use std::fmt;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::{SpanContext, TraceContextExt};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::future_producer::Delivery as Delivered;
use throughline_core::Extraction;

use super::keep::{Source, keeping};
use super::{Message, OwnedDelivery, OwnedMessage, Pending, conclude, extract, start};
use crate::consumer::Ticket;
use crate::producer::{ForwardError, FutureProducer};
use crate::settings::Settings;

/// A record that was received, and is still to be processed.
///
/// It tells where the record comes from and which trace it belongs to. Its payload, key and headers
/// are given up only inside [`process`](Self::process), where that trace is current: there is no
/// way to handle a record outside of its context.
///
/// A record is acknowledged when its handler has succeeded. One whose handler fails or panics, and
/// one that is dropped unprocessed, is not; and neither is any that lies behind it in its partition.
#[must_use = "a record that isn't processed is never acknowledged, and stops its partition"]
pub struct Delivery<'a> {
    held: Held<'a>,
    /// Made when it is first asked for.
    extraction: OnceLock<Extraction>,
    pending: Pending,
    settings: &'a Arc<Settings>,
    source: &'a Arc<dyn Source>,
}

pub(super) enum Held<'a> {
    Borrowed(BorrowedMessage<'a>),
    /// One that came while another was processed.
    Owned(OwnedMessage),
}

impl Held<'_> {
    /// `topic` is the record's: rdkafka would read its own through again for each call.
    pub(super) fn message<'m>(&'m self, topic: &'m str) -> Message<'m> {
        match self {
            Held::Borrowed(message) => Message::borrowed(message, topic),
            Held::Owned(message) => message.as_message(),
        }
    }

    pub(super) fn into_owned(self) -> OwnedMessage {
        match self {
            Held::Borrowed(message) => OwnedMessage::new(message.detach()),
            Held::Owned(message) => message,
        }
    }
}

impl<'a> Delivery<'a> {
    pub(crate) fn borrowed(
        message: BorrowedMessage<'a>,
        pending: Pending,
        settings: &'a Arc<Settings>,
        source: &'a Arc<dyn Source>,
    ) -> Self {
        let held = Held::Borrowed(message);
        Delivery { held, extraction: OnceLock::new(), pending, settings, source }
    }

    pub(crate) fn owned(
        message: OwnedMessage,
        pending: Pending,
        settings: &'a Arc<Settings>,
        source: &'a Arc<dyn Source>,
    ) -> Self {
        let held = Held::Owned(message);
        Delivery { held, extraction: OnceLock::new(), pending, settings, source }
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.pending.ticket().topic
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.pending.ticket().partition
    }

    /// Its offset in the partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.pending.ticket().offset
    }

    /// The span whose trace it continues, or would, were it not told to be
    /// [linked](crate::CreationContext::Link); `None` where it carries none that is valid and trusted.
    #[must_use]
    pub fn parent(&self) -> Option<SpanContext> {
        let extraction = self
            .extraction
            .get_or_init(|| extract(self.settings, self.held.message(self.topic()), None));
        let parent = extraction.context().span().span_context().clone();
        parent.is_valid().then_some(parent)
    }

    /// Handles the record: `handler` runs in a span of kind CONSUMER, in the record's trace.
    ///
    /// When it returns `Ok` the record is acknowledged. Its offset goes to Kafka with the
    /// consumer's next commit, after all records before it in the partition have succeeded.
    ///
    /// The handler may take longer than `max.poll.interval.ms`: the consumer keeps its membership,
    /// and receives nothing meanwhile.
    ///
    /// To drop the future before it is done cancels the handler; the record is not acknowledged.
    ///
    /// # Errors
    ///
    /// The handler's own. The record is not acknowledged then, its partition stands still, and the
    /// next [`recv`](crate::StreamConsumer::recv) tells so.
    pub async fn process<T, E, F>(self, handler: F) -> Result<T, E>
    where
        F: AsyncFnOnce(Message<'_>) -> Result<T, E>,
        E: Display,
    {
        let Delivery { held, extraction, pending, settings, source } = self;
        let message = held.message(&pending.ticket().topic);
        let extraction =
            extraction.into_inner().unwrap_or_else(|| extract(settings, message, None));
        let span = start(settings, message, extraction, None);
        // In a block: the call that makes the future is in the context as well.
        let work = span.process(async move { handler(message).await });
        let (result, span) = keeping(&**source, work).await;
        match conclude(&result, span) {
            Ok(()) => pending.finish(|ticket, position| match &held {
                Held::Borrowed(held) if Some(position) == ticket.offset.checked_add(1) => {
                    source.store_after(held)
                }
                _ => source.store(&ticket.topic, ticket.partition, position),
            }),
            Err(reason) => {
                let _failed = pending.fail(reason);
            }
        }
        result
    }

    /// Sends the record on to another topic, in its trace, and acknowledges it once the broker has
    /// it.
    ///
    /// Key, payload and headers go along; the context in the headers is replaced by that of the
    /// span it is sent in.
    ///
    /// # Errors
    ///
    /// When the broker doesn't take it; the record is not acknowledged then.
    pub async fn forward<C>(
        self,
        producer: &FutureProducer<C>,
        topic: &str,
    ) -> Result<Delivered, ForwardError>
    where
        C: rdkafka::ClientContext + 'static,
    {
        self.process(async |message| producer.forward(message, topic).await).await
    }

    pub(crate) fn size(&self) -> usize {
        self.held.message(self.topic()).size()
    }

    pub(crate) fn is_current(&self) -> bool {
        self.pending.is_current()
    }

    /// Nobody will process it here.
    pub(crate) fn give_back(self) {
        self.pending.give_back();
    }

    /// Nobody processes it now.
    pub(crate) fn put_back(self) -> (OwnedMessage, Ticket) {
        (self.held.into_owned(), self.pending.put_back())
    }

    pub(super) fn into_parts(self) -> (Held<'a>, Pending) {
        (self.held, self.pending)
    }

    /// A copy that outlives the loop it was received in, to be processed in another task.
    ///
    /// The consumer has to be polled meanwhile, as a loop over
    /// [`recv`](crate::StreamConsumer::recv) does. Once the consumer is gone nothing is
    /// acknowledged any more.
    pub fn into_owned(self) -> OwnedDelivery {
        OwnedDelivery::new(
            self.held.into_owned(),
            self.pending,
            Arc::clone(self.settings),
            self.source,
        )
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}
