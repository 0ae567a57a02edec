//! The way of a record out of the consumer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::runner::BUFFER_BYTES;
use super::state::{Stashed, is_transient};
use super::{Hooks, State, StreamConsumer};
use crate::error::{Error, Failed};
use crate::process::{Batch, Delivery, Pending, poll_once};

/// For how many records of a batch there is room from the beginning: few may come, whatever the most
/// is.
const AT_ONCE: usize = 128;

/// Somebody waits for a message: nobody else needs to poll.
struct Receiving<'a>(&'a State);

impl<'a> Receiving<'a> {
    fn new(state: &'a State) -> Self {
        state.polls.fetch_add(1, SeqCst);
        state.receivers.fetch_add(1, SeqCst);
        Receiving(state)
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.receivers.fetch_sub(1, SeqCst);
    }
}

/// What was received for a batch, until somebody has it.
struct Collected<'a> {
    deliveries: Vec<Delivery<'a>>,
    state: &'a State,
}

impl<'a> Collected<'a> {
    /// But for what was taken away meanwhile, with its partition: that comes again elsewhere.
    fn into_current(mut self) -> Vec<Delivery<'a>> {
        let all = std::mem::take(&mut self.deliveries);
        if all.iter().all(Delivery::is_current) {
            return all;
        }
        let (current, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(Delivery::is_current);
        gone.into_iter().for_each(Delivery::give_back);
        current
    }
}

impl Drop for Collected<'_> {
    fn drop(&mut self) {
        if !self.deliveries.is_empty() {
            let collected = std::mem::take(&mut self.deliveries).into_iter();
            let messages = collected.map(|delivery| {
                let (message, ticket) = delivery.put_back();
                Stashed::Message(message, ticket)
            });
            self.state.put_back(messages);
        }
    }
}

impl<H: Hooks, O> StreamConsumer<H, O> {
    /// The next record; `None` once a [`Closer`](super::Closer) was used.
    ///
    /// It may be called from several tasks at once, and dropping its future loses nothing.
    ///
    /// Errors of Kafka that pass by themselves, a broker that is away for one, are counted and told
    /// in the log, and the waiting goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when a record that was handed out has failed: it is told once, and its
    /// partition stays paused, so that nothing behind the record is processed. Whoever goes on
    /// calling gets the records of other partitions. To try it again, [`resume`](Self::resume) the
    /// partition, which goes back to the record; to leave it behind, [`seek`](Self::seek) beyond it
    /// first; or make the consumer anew.
    ///
    /// [`Error::Kafka`] for everything that doesn't pass by itself: no right to read, a group that
    /// doesn't fit, no offset to begin with under `auto.offset.reset=error`.
    pub async fn recv(&self) -> Result<Option<Delivery<'_>>, Error> {
        let state = &self.client.state;
        let _receiving = Receiving::new(state);
        self.client.resume_all();
        loop {
            if state.closed.load(SeqCst) {
                return Ok(None);
            }
            match state.next_pending() {
                Some(Err(failed)) => {
                    self.stop(&failed);
                    return Err(Error::Failed(failed));
                }
                Some(Ok(Stashed::Error(error))) => return Err(Error::Kafka(error)),
                Some(Ok(Stashed::Message(message, ticket))) => {
                    let pending = self.pending(ticket);
                    if pending.is_current() {
                        state.received();
                        let (settings, source) = (&self.settings, &self.source);
                        return Ok(Some(Delivery::owned(message, pending, settings, source)));
                    }
                    pending.give_back();
                    continue;
                }
                None => {}
            }
            let mut taking = pin!(self.client.take());
            let received = match poll_once(taking.as_mut()).await {
                Poll::Ready(received) => received,
                // Only who waits needs to be woken.
                Poll::Pending => {
                    let woken = state.wake.notified();
                    if state.has_news() {
                        continue;
                    }
                    tokio::select! {
                        biased;
                        () = woken => continue,
                        received = taking => received,
                    }
                }
            };
            match received {
                Ok((message, Some(ticket))) => {
                    state.received();
                    let pending = self.pending(ticket);
                    let (settings, source) = (&self.settings, &self.source);
                    return Ok(Some(Delivery::borrowed(message, pending, settings, source)));
                }
                // It lies behind one that failed, and was already on its way.
                Ok((_, None)) => {}
                // For those who have asked for it; it is no error.
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) if is_transient(&error) => self.client.transient(&error),
                Err(error) => return Err(Error::Kafka(error)),
            }
        }
    }

    /// The records one after the other, each as [`recv`](Self::recv) hands it out, until a
    /// [`Closer`](super::Closer) is used. An error doesn't end it.
    pub fn stream(&self) -> impl Stream<Item = Result<Delivery<'_>, Error>> {
        stream::unfold(self, async |consumer| {
            consumer.recv().await.transpose().map(|received| (received, consumer))
        })
    }

    /// The next records together, for a handler that takes many at once: at least one, at most
    /// `max`, no more once they have 64 MiB together, and what comes within `wait` after the first.
    /// `None` once a
    /// [`Closer`](super::Closer) was used.
    ///
    /// Dropping its future loses nothing.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv); what came before the error is handed out first.
    pub async fn recv_batch(&self, max: usize, wait: Duration) -> Result<Option<Batch<'_>>, Error> {
        loop {
            let Some(first) = self.recv().await? else { return Ok(None) };
            // Deliveries are large, and a list that grows copies them.
            let mut deliveries = Vec::with_capacity(max.clamp(1, AT_ONCE));
            deliveries.push(first);
            let mut collected = Collected { deliveries, state: &self.client.state };
            let mut late = pin!(tokio::time::sleep(wait));
            let mut bytes = collected.deliveries.iter().map(Delivery::size).sum::<usize>();
            while collected.deliveries.len() < max && bytes < BUFFER_BYTES {
                let received = tokio::select! {
                    biased;
                    received = self.recv() => received,
                    () = &mut late => break,
                };
                match received {
                    Ok(Some(delivery)) => {
                        bytes += delivery.size();
                        collected.deliveries.push(delivery);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        collected.state.tell_again(error);
                        break;
                    }
                }
            }
            let deliveries = collected.into_current();
            if !deliveries.is_empty() {
                return Ok(Some(Batch::new(deliveries, &self.settings, &self.source)));
            }
        }
    }

    fn pending(&self, ticket: super::Ticket) -> Pending {
        Pending::new(ticket, Arc::clone(&self.client.state), self.settings.acknowledge)
    }

    /// Fetches no more of a partition that stands still.
    fn stop(&self, failed: &Failed) {
        let _gate = self.client.gate();
        // Somebody else may have polled since, and it has left; or gone back to the record.
        if self.client.state.offsets.held_at(failed.topic(), failed.partition()).is_none() {
            return;
        }
        self.client.state.stop(failed.topic(), failed.partition());
        let mut partition = TopicPartitionList::with_capacity(1);
        partition.add_partition(failed.topic(), failed.partition());
        if let Err(error) = self.client.consumer.pause(&partition) {
            tracing::debug!(%error, "cannot pause the partition of a failed message");
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{ClientConfig, Offset};

    use super::*;
    use crate::error::Reason;

    /// What failed is told to one of several receivers, while another one polls.
    #[tokio::test]
    async fn a_partition_that_has_left_is_not_stopped_when_it_comes_back() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "fulfilment");
        let consumer: StreamConsumer = config.create().expect("a consumer");
        let state = &consumer.client.state;
        let fail = || {
            let ticket = state.offsets.begin("orders", 0, 7).expect("it is not held");
            consumer.pending(ticket).fail(Reason::Dropped)
        };
        consumer.stop(&fail());
        assert!(state.is_stopped("orders", 0));
        state.revoke("orders", 0);
        assert!(!state.is_stopped("orders", 0));

        let failed = fail();
        state.revoke("orders", 0);
        consumer.stop(&failed);
        assert!(!state.is_stopped("orders", 0), "nobody would resume it");

        consumer.stop(&fail());
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("orders", 0, Offset::Invalid).expect("an offset");
        state.come(&list);
        assert!(!state.is_stopped("orders", 0), "it begins anew");
    }
}
