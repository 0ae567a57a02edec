//! What a consumer, its messages and its callbacks share.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use throughline_core::http::redact_text;
use tokio::sync::Notify;

use super::begins::Begins;
use super::offsets::{Offsets, Ticket};
use crate::error::{Error, Failed, Reason};
use crate::process::OwnedMessage;
use crate::quiet::Quiet;

/// What became of the messages of a consumer since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages that were handed out.
    pub received: u64,
    /// Messages whose handler succeeded.
    pub processed: u64,
    /// Messages whose handler failed or panicked.
    pub failed: u64,
    /// Messages that were dropped before their handler had ended.
    pub dropped: u64,
    /// Errors of Kafka that passed by themselves.
    pub transient_errors: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) offsets: Offsets,
    pub(super) begins: Begins,
    /// Told when there is something for `recv` to look at.
    pub(super) wake: Notify,
    /// How many wait for a message, and poll by doing so.
    pub(super) receivers: AtomicUsize,
    /// How often somebody began to wait for one.
    pub(super) polls: AtomicU64,
    /// Whether the partitions are paused, so that somebody can poll without wanting messages.
    pub(super) resting: AtomicBool,
    pub(super) closed: AtomicBool,
    /// Whether the offsets are the service's affair: then nothing is committed here.
    pub(super) are_theirs: AtomicBool,
    /// Whether `failures` or `stash` may hold something: `recv` needn't lock to know that they
    /// don't.
    pending: AtomicBool,
    failures: Mutex<VecDeque<Failed>>,
    stash: Mutex<VecDeque<Stashed>>,
    /// Partitions that stay paused until somebody asks for them: by the service, or because a
    /// message of theirs failed.
    stopped: Mutex<HashSet<(String, i32)>>,
    last_error: Quiet,
    last_refusal: Quiet,
    received: AtomicU64,
    processed: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    transient_errors: AtomicU64,
}

/// What came while nobody wanted a message.
#[derive(Debug)]
pub(super) enum Stashed {
    Message(OwnedMessage, Ticket),
    Error(KafkaError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(crate) fn processed(&self) {
        self.processed.fetch_add(1, Relaxed);
    }

    /// A message was not processed. Its partition is held, unless it isn't read here any more: then
    /// whoever reads it gets the message again.
    ///
    /// It is told to who receives next, unless that has no more to learn from it.
    pub(crate) fn fail(&self, ticket: &Ticket, failed: &Failed, is_told: bool) {
        self.count_failure(failed);
        if !self.offsets.hold(ticket) {
            let error = failed.to_string();
            let error = redact_text(&error);
            tracing::debug!(%error, "a message failed that is no longer ours");
            return;
        }
        if !is_told {
            return;
        }
        lock(&self.failures).push_back(failed.clone());
        self.pending.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// A message failed, and was skipped or put aside.
    pub(crate) fn passed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_failure(&self, failed: &Failed) {
        let counter = match failed.reason {
            Reason::Dropped => &self.dropped,
            _ => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Keeps what came while nobody wanted it.
    pub(super) fn stash(&self, stashed: Stashed) {
        lock(&self.stash).push_back(stashed);
        self.pending.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// Puts back what was handed out and nobody has seen, in front of all else.
    pub(super) fn put_back(&self, stashed: impl DoubleEndedIterator<Item = Stashed>) {
        let mut stash = lock(&self.stash);
        for stashed in stashed.rev() {
            self.received.fetch_sub(1, Relaxed);
            stash.push_front(stashed);
        }
        drop(stash);
        self.pending.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// An error that was told, and that nobody has heard.
    pub(super) fn tell_again(&self, error: Error) {
        match error {
            Error::Failed(failed) => lock(&self.failures).push_front(failed),
            Error::Kafka(error) => lock(&self.stash).push_front(Stashed::Error(error)),
        }
        self.pending.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// Whether there may be something for `recv` to look at.
    pub(super) fn has_news(&self) -> bool {
        self.closed.load(SeqCst) || self.pending.load(SeqCst)
    }

    /// A failure that `recv` has not told yet, or else what was stashed.
    pub(super) fn next_pending(&self) -> Option<Result<Stashed, Failed>> {
        if !self.pending.load(SeqCst) {
            return None;
        }
        let (mut failures, mut stash) = (lock(&self.failures), lock(&self.stash));
        let next = match failures.pop_front() {
            Some(failed) => Some(Err(failed)),
            None => stash.pop_front().map(Ok),
        };
        self.pending.store(!(failures.is_empty() && stash.is_empty()), SeqCst);
        next
    }

    pub(super) fn stop(&self, topic: &str, partition: i32) {
        lock(&self.stopped).insert((topic.to_owned(), partition));
    }

    pub(super) fn restart(&self, topic: &str, partition: i32) {
        lock(&self.stopped).remove(&(topic.to_owned(), partition));
    }

    pub(super) fn is_stopped(&self, topic: &str, partition: i32) -> bool {
        lock(&self.stopped).contains(&(topic.to_owned(), partition))
    }

    /// These partitions are read from now on.
    pub(super) fn come(&self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            self.restart(element.topic(), element.partition());
        }
        self.begins.come(partitions);
    }

    /// The partition isn't read here any more.
    pub(super) fn revoke(&self, topic: &str, partition: i32) {
        self.restart(topic, partition);
        self.begins.leave(topic, partition);
        self.offsets.forget(topic, partition);
        self.forget_failures(topic, partition);
    }

    /// What failed in a partition is known by now, or comes again.
    pub(super) fn forget_failures(&self, topic: &str, partition: i32) {
        lock(&self.failures)
            .retain(|failed| !(*failed.topic == *topic && failed.partition == partition));
    }

    /// Nothing counts that was handed out so far.
    pub(super) fn forget_all(&self) {
        self.offsets.forget_all();
        self.begins.clear();
        lock(&self.stopped).clear();
        lock(&self.failures).clear();
        lock(&self.stash).retain(|stashed| matches!(stashed, Stashed::Error(_)));
    }

    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// Tells of an error that passes by itself, and not too often: a broker that is away causes
    /// one after the other.
    pub(super) fn transient(&self, error: &KafkaError) {
        self.transient_errors.fetch_add(1, Relaxed);
        if self.last_error.is_over() {
            tracing::warn!(%error, "a Kafka consumer goes on after an error");
        } else {
            tracing::debug!(%error, "a Kafka consumer goes on after an error");
        }
    }

    /// A commit was refused: nobody waits for those that librdkafka makes by itself.
    pub(super) fn not_committed(&self, error: &KafkaError) {
        if matches!(error, KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) {
            return;
        }
        if self.last_refusal.is_over() {
            tracing::warn!(%error, "a commit was refused: what was acknowledged may come again");
        } else {
            tracing::debug!(%error, "a commit was refused: what was acknowledged may come again");
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            processed: self.processed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            transient_errors: self.transient_errors.load(Relaxed),
        }
    }
}

/// Whether an error passes by itself. Nearly all do: librdkafka tries again, whatever a broker has
/// said, and the next record follows. What doesn't is for people to mend, and is told: what is fatal
/// to the client, rights that are missing, a group or a topic that can't be, records that can't be
/// read or are gone.
pub(super) fn is_transient(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return false;
    }
    let Some(code) = error.rdkafka_error_code() else { return false };
    !matches!(
        code,
        Code::AutoOffsetReset
            | Code::BadCompression
            | Code::BadMessage
            | Code::ClusterAuthorizationFailed
            | Code::CriticalSystemResource
            | Code::Fatal
            | Code::FencedInstanceId
            | Code::GroupAuthorizationFailed
            | Code::GroupMaxSizeReached
            | Code::InconsistentGroupProtocol
            | Code::InvalidArgument
            | Code::InvalidGroupId
            | Code::InvalidMessageSize
            | Code::InvalidSessionTimeout
            | Code::InvalidTopic
            | Code::LogTruncation
            | Code::MessageSizeTooLarge
            | Code::NotImplemented
            | Code::State
            | Code::TopicAuthorizationFailed
            | Code::UnknownGroup
            | Code::UnknownProtocol
            | Code::UnreleasedInstanceId
            | Code::UnsupportedFeature
            | Code::UnsupportedVersion
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_passes_and_what_people_have_to_mend_does_not() {
        use RDKafkaErrorCode as Code;
        let of = |code| is_transient(&KafkaError::MessageConsumption(code));
        for passing in [
            Code::AllBrokersDown,
            Code::Authentication,
            Code::PollExceeded,
            // What a broker says that knows no better.
            Code::Unknown,
            Code::UnknownTopicOrPartition,
        ] {
            assert!(of(passing), "{passing:?}");
        }
        for lasting in [Code::TopicAuthorizationFailed, Code::AutoOffsetReset, Code::Fatal] {
            assert!(!of(lasting), "{lasting:?}");
        }
        assert!(!is_transient(&KafkaError::MessageConsumptionFatal(Code::UnknownMemberId)));
        assert!(!is_transient(&KafkaError::Canceled));
    }
}
