use std::fmt;
use std::fmt::Display;
use std::sync::{Arc, Weak};

use rdkafka::error::KafkaResult;
use throughline_core::BoundarySpan;

use super::{OwnedMessage, Pending, Retry, Source, conclude, extract, start};
use crate::consumer::Ticket;
use crate::error::{Failed, Reason};
use crate::settings::Settings;

/// A [`Delivery`](super::Delivery) that owns its record, for a task of its own.
#[must_use = "a record that isn't processed is never acknowledged, and stops its partition"]
pub struct OwnedDelivery {
    message: OwnedMessage,
    pending: Pending,
    settings: Arc<Settings>,
    /// Weak, so that a message that is forgotten somewhere doesn't keep a consumer from closing.
    source: Weak<dyn Source>,
}

impl OwnedDelivery {
    pub(super) fn new(
        message: OwnedMessage,
        pending: Pending,
        settings: Arc<Settings>,
        source: &Arc<dyn Source>,
    ) -> Self {
        OwnedDelivery { message, pending, settings, source: Arc::downgrade(source) }
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.message.partition()
    }

    /// Its offset in the partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.message.offset()
    }

    /// Handles the record, as [`Delivery::process`](super::Delivery::process) does, in whatever
    /// task this is called in.
    ///
    /// # Errors
    ///
    /// The handler's own. The record is not acknowledged then, its partition stands still, and the
    /// next [`recv`](crate::StreamConsumer::recv) tells so.
    pub async fn process<T, E, F, Fut>(self, handler: F) -> Result<T, E>
    where
        F: FnOnce(OwnedMessage) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Display,
    {
        let (span, message) = (self.start(None), self.message.clone());
        let (result, span) = span.process(async move { handler(message).await }).await;
        match conclude(&result, span) {
            Ok(()) => self.finish(),
            Err(reason) => {
                let _failed = self.fail(reason);
            }
        }
        result
    }

    pub(crate) fn start(&self, retry: Option<&Retry>) -> BoundarySpan {
        let message = self.message.as_message();
        start(&self.settings, message, extract(&self.settings, message, retry), retry)
    }

    pub(crate) fn message(&self) -> &OwnedMessage {
        &self.message
    }

    pub(crate) fn is_current(&self) -> bool {
        self.pending.is_current()
    }

    pub(crate) fn finish(self) {
        self.settle(|pending, store| pending.finish(store));
    }

    /// Its handler has failed, and the partition goes on all the same.
    pub(crate) fn pass(self) {
        self.settle(|pending, store| pending.pass(store));
    }

    fn settle(self, by: impl FnOnce(Pending, &dyn Fn(&Ticket, i64) -> KafkaResult<()>)) {
        let OwnedDelivery { pending, source, .. } = self;
        // Held until the book is closed again: the last one to let go of a consumer waits for it to
        // close, and it may want to write into the book.
        let source = source.upgrade();
        by(pending, &|ticket, position| match &source {
            Some(source) => source.store(&ticket.topic, ticket.partition, position),
            None => Ok(()),
        });
    }

    pub(crate) fn fail(self, reason: Reason) -> Failed {
        self.pending.fail(reason)
    }

    pub(crate) fn give_back(self) {
        self.pending.give_back();
    }
}

impl fmt::Debug for OwnedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedDelivery").field("message", &self.message).finish_non_exhaustive()
    }
}
