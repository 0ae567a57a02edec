//! The client underneath: what messages and the runner ask of it, without its type.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};

use super::context::{HookedContext, commit};
use super::state::{Stashed, State, is_transient};
use super::unread::{Alarm, Noting};
use super::{Hooks, Ticket};
use crate::process::{OwnedMessage, Source};

/// `rdkafka`'s consumer, and what is kept beside it.
pub(super) struct Client<H: Hooks> {
    pub(super) consumer: rdkafka::consumer::StreamConsumer<HookedContext<H>>,
    pub(super) state: Arc<State>,
    pub(super) patience: Duration,
    /// Whether librdkafka commits what is stored by itself.
    pub(super) auto_commit: bool,
    /// How often it does, or would.
    commit_interval: Duration,
    /// Held while a message is taken and noted, and while it is changed what is read: of two that
    /// take a message each, the first has to be noted first. Never held across an await.
    gate: Mutex<()>,
    /// Held to read while what is stored is committed, and to write where it isn't there for a moment.
    pub(super) commits: RwLock<()>,
}

/// A message that was taken, and how the book took it.
pub(super) type Taken<'a> = (BorrowedMessage<'a>, Option<Ticket>);

impl<H: Hooks> Client<H> {
    pub(super) fn new(
        consumer: rdkafka::consumer::StreamConsumer<HookedContext<H>>,
        state: Arc<State>,
        patience: Duration,
        (auto_commit, commit_interval): (bool, Duration),
    ) -> Arc<Self> {
        Arc::new(Client {
            consumer,
            state,
            patience,
            auto_commit,
            commit_interval,
            gate: Mutex::default(),
            commits: RwLock::default(),
        })
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next message, and notes it in the book in the same step.
    pub(super) async fn take(&self) -> KafkaResult<Taken<'_>> {
        #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
        let mut stream = self.consumer.stream();
        let mut alarm = Alarm::default();
        poll_fn(|task| {
            let _gate = self.gate();
            let is_due = self.state.begins.is_due();
            let noting = is_due.then(|| Noting::of(task.waker()));
            let polled = match &noting {
                None => stream.poll_next_unpin(task),
                Some(noting) => {
                    let waker = Waker::from(Arc::clone(noting));
                    stream.poll_next_unpin(&mut Context::from_waker(&waker))
                }
            };
            match polled {
                Poll::Ready(Some(Ok(message))) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let ticket = self.state.offsets.begin(message.topic(), partition, offset);
                    if is_due {
                        self.busy();
                    }
                    Poll::Ready(Ok((message, ticket)))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
                // Its streams don't end.
                Poll::Ready(None) | Poll::Pending => {
                    self.idle(noting.as_ref(), &mut alarm, task);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Takes no more messages for now: what is polled from here on are events. Not while somebody
    /// waits for messages.
    fn pause_all(&self) -> bool {
        let _gate = self.gate();
        // First the flag, then the look: whoever begins to wait counts himself first, and looks at
        // the flag then.
        self.state.resting.store(true, SeqCst);
        if self.state.receivers.load(SeqCst) > 0 {
            self.state.resting.store(false, SeqCst);
            return false;
        }
        self.pause_assigned();
        true
    }

    /// Takes messages again, but for the partitions that are to stay paused.
    pub(super) fn resume_all(&self) {
        if !self.state.resting.load(SeqCst) {
            return;
        }
        let _gate = self.gate();
        if self.state.resting.swap(false, SeqCst) {
            self.resume_assigned();
        }
    }

    /// Under the gate.
    pub(super) fn pause_assigned(&self) {
        // The list must not be kept: one that is alive keeps the consumer from closing.
        let paused = self.consumer.assignment().and_then(|all| self.consumer.pause(&all));
        if let Err(error) = paused {
            tracing::debug!(%error, "cannot pause");
        }
    }

    /// Under the gate.
    pub(super) fn resume_assigned(&self) {
        let resumed = self.consumer.assignment().and_then(|all| self.resume_running(&all));
        if let Err(error) = resumed {
            tracing::debug!(%error, "cannot resume");
        }
    }

    /// Resumes those of a list that aren't to stay paused.
    pub(super) fn resume_running(&self, list: &TopicPartitionList) -> KafkaResult<()> {
        let mut resumed = TopicPartitionList::new();
        for element in list.elements() {
            if !self.state.is_stopped(element.topic(), element.partition()) {
                resumed.add_partition(element.topic(), element.partition());
            }
        }
        self.consumer.resume(&resumed)
    }

    pub(super) fn commit(&self, mode: CommitMode) -> KafkaResult<()> {
        let _stored = self.commits.read().unwrap_or_else(PoisonError::into_inner);
        commit(&self.consumer, mode)
    }
}

impl<H: Hooks> Source for Client<H> {
    fn store(&self, topic: &str, partition: i32, position: i64) -> KafkaResult<()> {
        // librdkafka adds one: it wants the last offset that was processed.
        self.consumer.store_offset(topic, partition, position.saturating_sub(1))
    }

    fn store_after(&self, message: &BorrowedMessage<'_>) -> KafkaResult<()> {
        self.consumer.store_offset_from_message(message)
    }

    fn polls(&self) -> u64 {
        self.state.polls.load(SeqCst)
    }

    fn rest(&self, polls: u64) -> BoxFuture<'_, Infallible> {
        async move {
            let mut seen = polls;
            loop {
                let polls = self.state.polls.load(SeqCst);
                let is_polled = self.state.receivers.load(SeqCst) > 0;
                // Somebody else takes messages, or did a moment ago, and polls by that. Otherwise
                // they are paused, again each time: a rebalance may have brought some that run.
                if is_polled || std::mem::replace(&mut seen, polls) != polls || !self.pause_all() {
                    tokio::time::sleep(self.patience).await;
                    continue;
                }
                match tokio::time::timeout(self.patience, self.take()).await {
                    Ok(Ok((message, Some(ticket)))) => {
                        let message = OwnedMessage::new(message.detach());
                        self.state.stash(Stashed::Message(message, ticket));
                    }
                    Ok(Ok((_, None)) | Err(KafkaError::PartitionEOF(_))) | Err(_) => {}
                    Ok(Err(error)) if is_transient(&error) => self.transient(&error),
                    Ok(Err(error)) => {
                        self.state.stash(Stashed::Error(error));
                        tokio::time::sleep(self.patience).await;
                    }
                }
            }
        }
        .boxed()
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn commit_stored(&self) -> KafkaResult<()> {
        self.commit(CommitMode::Async)
    }

    fn commits_by_itself(&self) -> bool {
        self.auto_commit || self.state.are_theirs.load(Relaxed)
    }

    fn commit_interval(&self) -> Duration {
        self.commit_interval
    }
}
