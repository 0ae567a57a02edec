//! The client underneath: what messages and the runner ask of it, without its type.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::Hooks;
use super::context::HookedContext;
use super::state::{Stashed, State, is_final};
use crate::process::{OwnedMessage, Source};

/// `rdkafka`'s consumer, and what is kept beside it.
pub(super) struct Client<H: Hooks> {
    pub(super) consumer: rdkafka::consumer::StreamConsumer<HookedContext<H>>,
    pub(super) state: Arc<State>,
    pub(super) patience: Duration,
}

impl<H: Hooks> Client<H> {
    /// Takes no more messages for now: what is polled from here on are events.
    fn pause_all(&self) {
        self.state.resting.store(true, SeqCst);
        // The list must not be kept: one that is alive keeps the consumer from closing.
        let paused = self.consumer.assignment().and_then(|all| self.consumer.pause(&all));
        if let Err(error) = paused {
            tracing::debug!(%error, "cannot pause");
        }
    }

    /// Takes messages again, but for the partitions that are to stay paused.
    pub(super) fn resume_all(&self) {
        if self.state.resting.swap(false, SeqCst)
            && let Err(error) = self.try_resume()
        {
            tracing::debug!(%error, "cannot resume");
        }
    }

    fn try_resume(&self) -> Result<(), KafkaError> {
        let assigned = self.consumer.assignment()?;
        let mut resumed = TopicPartitionList::new();
        for element in assigned.elements() {
            if !self.state.is_stopped(element.topic(), element.partition()) {
                resumed.add_partition(element.topic(), element.partition());
            }
        }
        self.consumer.resume(&resumed)
    }

    fn keep(&self, message: &BorrowedMessage<'_>) {
        let place = (message.topic(), message.partition(), message.offset());
        if let Some(ticket) = self.state.offsets.begin(place.0, place.1, place.2) {
            self.state.stash(Stashed::Message(OwnedMessage::new(message.detach()), ticket));
        }
    }

    fn stored(&self, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            // The partition was taken away a moment ago: whoever has it now gets the message again.
            tracing::debug!(%error, "an offset was not stored");
        }
    }
}

impl<H: Hooks> Source for Client<H> {
    fn store(&self, topic: &str, partition: i32, position: i64) {
        // librdkafka adds one: it wants the last offset that was processed.
        self.stored(self.consumer.store_offset(topic, partition, position - 1));
    }

    fn store_after(&self, message: &BorrowedMessage<'_>) {
        self.stored(self.consumer.store_offset_from_message(message));
    }

    fn rest(&self) -> BoxFuture<'_, Infallible> {
        async move {
            let mut seen = None;
            loop {
                let polls = self.state.polls.load(SeqCst);
                let is_polled = self.state.receivers.load(SeqCst) > 0;
                if is_polled || seen.replace(polls) != Some(polls) {
                    // Somebody else takes messages, or did a moment ago, and polls by that.
                    if is_polled {
                        // He may have come just as the partitions were paused.
                        self.resume_all();
                    }
                    tokio::time::sleep(self.patience).await;
                    continue;
                }
                // Again each time: a rebalance may have brought partitions that run.
                self.pause_all();
                match tokio::time::timeout(self.patience, self.consumer.recv()).await {
                    Ok(Ok(message)) => self.keep(&message),
                    Ok(Err(error)) if is_final(&error) => {
                        self.state.stash(Stashed::Error(error));
                        tokio::time::sleep(self.patience).await;
                    }
                    Ok(Err(KafkaError::PartitionEOF(_))) | Err(_) => {}
                    Ok(Err(error)) => self.state.transient(&error),
                }
            }
        }
        .boxed()
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
