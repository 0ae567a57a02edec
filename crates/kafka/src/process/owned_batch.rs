use std::fmt;
use std::fmt::Display;
use std::sync::{Arc, Weak};

use opentelemetry::Context;
use rdkafka::error::KafkaResult;
use throughline_core::BoundarySpan;

use super::{OwnedMessage, PendingBatch, Retry, Source, conclude, extract_again, start_batch};
use crate::consumer::Ticket;
use crate::error::{Failed, Reason};
use crate::settings::Settings;

/// A [`Batch`](super::Batch) that owns its records, for a task of its own.
#[must_use = "records that aren't processed are never acknowledged, and stop their partitions"]
pub struct OwnedBatch {
    messages: Vec<OwnedMessage>,
    /// One for each message.
    pending: PendingBatch,
    settings: Arc<Settings>,
    /// Weak, as of a single one.
    source: Weak<dyn Source>,
}

impl OwnedBatch {
    pub(super) fn new(
        messages: Vec<OwnedMessage>,
        pending: PendingBatch,
        settings: &Arc<Settings>,
        source: &Arc<dyn Source>,
    ) -> Self {
        let (settings, source) = (Arc::clone(settings), Arc::downgrade(source));
        OwnedBatch { messages, pending, settings, source }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Handles the records together, as [`Batch::process_batch`](super::Batch::process_batch) does,
    /// in whatever task this is called in.
    ///
    /// # Errors
    ///
    /// The handler's own. None of the records is acknowledged then, their partitions stand still,
    /// and [`recv`](crate::StreamConsumer::recv) tells so, once for each partition.
    pub async fn process_batch<T, E, F, Fut>(self, handler: F) -> Result<T, E>
    where
        F: FnOnce(Vec<OwnedMessage>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Display,
    {
        let (span, messages) = (self.start(None), self.messages.clone());
        let (result, span) = span.process(async move { handler(messages).await }).await;
        match conclude(&result, span) {
            Ok(()) => self.finish(),
            Err(reason) => {
                let _failed = self.fail(&reason);
            }
        }
        result
    }

    pub(crate) fn start(&self, retry: Option<&Retry>) -> BoundarySpan {
        let messages: Vec<_> = self.messages.iter().map(OwnedMessage::as_message).collect();
        start_batch(&self.settings, &messages, retry)
    }

    pub(crate) fn messages(&self) -> &[OwnedMessage] {
        &self.messages
    }

    /// The context that a message came with: not that of the batch, which is of no message's trace.
    pub(crate) fn context_of(&self, message: &OwnedMessage) -> Context {
        extract_again(&self.settings, message.as_message()).context().clone()
    }

    /// Those that are still read here, and have nothing before them that failed.
    pub(crate) fn current(&self) -> impl Iterator<Item = &OwnedMessage> {
        let all = self.messages.iter().zip(self.pending.iter());
        all.filter(|(_, pending)| pending.is_current()).map(|(message, _)| message)
    }

    /// What of it is still read here, and has nothing before it that failed. The rest is given back:
    /// it comes again, here or elsewhere.
    pub(crate) fn into_current(self) -> Option<Self> {
        let OwnedBatch { messages, pending, settings, source } = self;
        let all = messages.into_iter().zip(pending.into_inner());
        let (current, gone): (Vec<_>, Vec<_>) = all.partition(|(_, pending)| pending.is_current());
        gone.into_iter().for_each(|(_, pending)| pending.give_back());
        let (messages, pending): (Vec<_>, Vec<_>) = current.into_iter().unzip();
        let pending = PendingBatch::new(pending);
        (!messages.is_empty()).then_some(OwnedBatch { messages, pending, settings, source })
    }

    pub(crate) fn finish(self) {
        self.settle(|pending, store| pending.finish(store));
    }

    /// Their handler has failed, and the partitions go on all the same.
    pub(crate) fn pass(self) {
        self.settle(|pending, store| pending.pass(store));
    }

    fn settle(self, by: impl FnOnce(PendingBatch, &dyn Fn(&Ticket, i64) -> KafkaResult<()>)) {
        // Held until the book is closed again: the last one to let go of a consumer waits for it to
        // close, and it may want to write into the book.
        let source = self.source.upgrade();
        by(self.pending, &|ticket, position| match &source {
            Some(source) => source.store(&ticket.topic, ticket.partition, position),
            None => Ok(()),
        });
    }

    /// The first of them.
    pub(crate) fn fail(self, reason: &Reason) -> Option<Failed> {
        self.pending.fail(reason)
    }

    pub(crate) fn give_back(self) {
        self.pending.into_inner().into_iter().for_each(super::Pending::give_back);
    }
}

impl fmt::Debug for OwnedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.messages).finish()
    }
}
