use std::fmt;
use std::fmt::Display;
use std::sync::Arc;

use super::keep::keeping;
use super::{Delivery, Message, OwnedBatch, PendingBatch, Source, conclude, start_batch};
use crate::settings::Settings;

/// Records that were received together, and are still to be processed; from
/// [`StreamConsumer::recv_batch`](crate::StreamConsumer::recv_batch).
///
/// They succeed or fail as one: when the handler has succeeded all of them are acknowledged. If it
/// fails or panics, or the batch is dropped unprocessed, none is, and neither is any that lies behind
/// the first of them in its partition.
#[must_use = "records that aren't processed are never acknowledged, and stop their partitions"]
pub struct Batch<'a> {
    /// At least one, until it is taken apart.
    deliveries: Vec<Delivery<'a>>,
    settings: &'a Arc<Settings>,
    source: &'a Arc<dyn Source>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        deliveries: Vec<Delivery<'a>>,
        settings: &'a Arc<Settings>,
        source: &'a Arc<dyn Source>,
    ) -> Self {
        Batch { deliveries, settings, source }
    }

    /// Where the records come from, and which traces they belong to, in the order in which they came.
    pub fn deliveries(&self) -> &[Delivery<'a>] {
        &self.deliveries
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether there are none, which `recv_batch` never hands out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Handles the records together: `handler` runs in one span of kind CONSUMER, which is linked to
    /// the span of each record's sender.
    ///
    /// The parent of the span is whatever is current here, and never one of the records: each of
    /// them may be of another trace. What is told of each record is on its link: `kafka.offset`, and
    /// its partition and topic where they aren't the same for all. A span may have 128 links (or
    /// `OTEL_SPAN_LINK_COUNT_LIMIT`), and OpenTelemetry's SDK drops the rest: those are on children
    /// of the span, named `link {topic}`.
    ///
    /// When the handler returns `Ok` all records are acknowledged. It may take long, and its future
    /// may be dropped, as that of [`Delivery::process`].
    ///
    /// # Errors
    ///
    /// The handler's own. None of the records is acknowledged then, their partitions stand still,
    /// and [`recv`](crate::StreamConsumer::recv) tells so, once for each partition.
    pub async fn process_batch<T, E, F>(mut self, handler: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&[Message<'_>]) -> Result<T, E>,
        E: Display,
    {
        let (settings, source) = (self.settings, self.source);
        let deliveries = std::mem::take(&mut self.deliveries);
        let (held, pending): (Vec<_>, Vec<_>) =
            deliveries.into_iter().map(Delivery::into_parts).unzip();
        let pending = PendingBatch::new(pending);
        let (result, span) = {
            let topics = pending.iter().map(|pending| &*pending.ticket().topic);
            let messages: Vec<_> =
                held.iter().zip(topics).map(|(held, topic)| held.message(topic)).collect();
            let span = start_batch(settings, &messages, None);
            // In a block: the call that makes the future is in the context as well.
            let work = span.process(async move { handler(&messages).await });
            keeping(&**source, work).await
        };
        match conclude(&result, span) {
            Ok(()) => pending
                .finish(|ticket, position| source.store(&ticket.topic, ticket.partition, position)),
            Err(reason) => {
                let _failed = pending.fail(&reason);
            }
        }
        result
    }

    /// A copy that outlives the loop it was received in, to be processed in another task; see
    /// [`Delivery::into_owned`].
    pub fn into_owned(mut self) -> OwnedBatch {
        let deliveries = std::mem::take(&mut self.deliveries);
        let parts = deliveries.into_iter().map(Delivery::into_parts);
        let owned = parts.map(|(held, pending)| (held.into_owned(), pending));
        let (messages, pending) = owned.unzip();
        OwnedBatch::new(messages, PendingBatch::new(pending), self.settings, self.source)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let deliveries = std::mem::take(&mut self.deliveries);
        let parts = deliveries.into_iter().map(Delivery::into_parts);
        // They fail as one.
        drop(PendingBatch::new(parts.map(|(_, pending)| pending).collect()));
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.deliveries).finish()
    }
}
