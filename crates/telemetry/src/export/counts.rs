//! Where every sampled span that ended has gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Spans that will not arrive any more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    /// Their export failed for good.
    pub(crate) failed: u64,
    /// They found the queue full.
    pub(crate) dropped: u64,
}

impl Losses {
    pub(crate) fn total(self) -> u64 {
        self.failed + self.dropped
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            failed: self.failed.saturating_sub(before.failed),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }
}

/// Counters that any thread may move; each span is in exactly one of them, or waiting.
#[derive(Debug)]
pub(crate) struct Counts {
    capacity: u64,
    /// Ended and not yet handed to the exporter.
    queued: AtomicU64,
    /// Handed to the exporter, without an answer yet.
    in_flight: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    told: Mutex<Losses>,
    last_failure: Mutex<String>,
}

impl Counts {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            queued: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            told: Mutex::default(),
            last_failure: Mutex::default(),
        }
    }

    /// Takes a place in the queue, or counts the span as dropped.
    ///
    /// The SDK's processor has the same bound, but keeps the number of its drops to itself; so we
    /// drop before it would.
    pub(super) fn enqueue(&self) -> bool {
        let free = self.queued.fetch_add(1, Ordering::Relaxed) < self.capacity;
        if !free {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        free
    }

    pub(super) fn sending(&self, spans: u64) {
        self.in_flight.fetch_add(spans, Ordering::Relaxed);
        self.queued.fetch_sub(spans, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, spans: u64, failure: Option<&str>) {
        if let Some(cause) = failure {
            self.failed.fetch_add(spans, Ordering::Relaxed);
            cause.clone_into(&mut self.last_failure.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.in_flight.fetch_sub(spans, Ordering::Relaxed);
    }

    /// Spans that ended, and neither arrived nor failed so far.
    pub(crate) fn waiting(&self) -> u64 {
        self.queued.load(Ordering::Relaxed) + self.in_flight.load(Ordering::Relaxed)
    }

    /// Spans that are lost, since the start.
    pub(crate) fn losses(&self) -> Losses {
        Losses {
            failed: self.failed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    /// Those of them that somebody could read of.
    pub(crate) fn told(&self) -> Losses {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, losses: Losses) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = losses;
    }

    /// Why the last export failed that did.
    pub(crate) fn last_failure(&self) -> String {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
