//! What a consumer, its messages and its callbacks share.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::offsets::{Offsets, Ticket};
use crate::error::{Failed, Reason};
use crate::process::OwnedMessage;

/// How often an error that passes by itself is told at the level WARN.
const QUIET: Duration = Duration::from_secs(10);

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
    /// Messages that were dropped before their handler had ended, while their partition was still
    /// read here.
    pub dropped: u64,
    /// Errors of Kafka that passed by themselves.
    pub transient_errors: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) offsets: Offsets,
    /// Told when there is something for `recv` to look at.
    pub(super) wake: Notify,
    /// How many wait for a message, and poll by doing so.
    pub(super) receivers: AtomicUsize,
    /// How often somebody began to wait for one.
    pub(super) polls: AtomicU64,
    /// Whether the partitions are paused, so that somebody can poll without wanting messages.
    pub(super) resting: AtomicBool,
    pub(super) closed: AtomicBool,
    /// Whether `failures` or `stash` may hold something: `recv` needn't lock to know that they
    /// don't.
    pending: AtomicBool,
    failures: Mutex<VecDeque<Failed>>,
    stash: Mutex<VecDeque<Stashed>>,
    /// Partitions that stay paused until somebody asks for them: by the service, or because a
    /// message of theirs failed.
    stopped: Mutex<HashSet<(String, i32)>>,
    last_told: Mutex<Option<Instant>>,
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

    /// A message was not processed. Its partition is held, unless it isn't read here any more.
    pub(crate) fn fail(&self, ticket: &Ticket, failed: Failed) {
        if !self.offsets.hold(ticket) {
            return;
        }
        self.count_failure(&failed);
        lock(&self.failures).push_back(failed);
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

    /// The partition isn't read here any more.
    pub(super) fn revoke(&self, topic: &str, partition: i32) {
        self.restart(topic, partition);
        self.forget(topic, partition);
    }

    /// What was handed out of a partition counts for nothing any more.
    pub(super) fn forget(&self, topic: &str, partition: i32) {
        self.offsets.forget(topic, partition);
        lock(&self.failures)
            .retain(|failed| !(*failed.topic == *topic && failed.partition == partition));
    }

    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake.notify_waiters();
    }

    /// Tells of an error that passes by itself, and not too often: a broker that is away causes
    /// one after the other.
    pub(super) fn transient(&self, error: &KafkaError) {
        self.transient_errors.fetch_add(1, Relaxed);
        let mut last = lock(&self.last_told);
        if last.is_none_or(|last| last.elapsed() >= QUIET) {
            *last = Some(Instant::now());
            tracing::warn!(%error, "a Kafka consumer goes on after an error");
        } else {
            tracing::debug!(%error, "a Kafka consumer goes on after an error");
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

/// Whether an error ends the reading: what doesn't pass by itself.
pub(super) fn is_final(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                Code::Fatal
                    | Code::Authentication
                    | Code::SaslAuthenticationFailed
                    | Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
            )
        )
}
