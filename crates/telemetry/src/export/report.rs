//! Tells that spans are being lost: at once, then rarely.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counts::{Counts, Losses};

/// An outage of an hour is sixty lines, not one for every batch of every service.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    failing: bool,
}

impl State {
    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= INTERVAL)
    }

    /// What nobody reads is not told: it is left for the shutdown.
    fn told(&mut self, counts: &Counts, losses: Losses) {
        self.last = Some(Instant::now());
        if tracing::enabled!(tracing::Level::WARN) {
            counts.tell(losses);
        }
    }
}

/// Called by the thread of the batch processor only, between exports: never where the
/// application waits.
#[derive(Debug)]
pub(super) struct Report {
    endpoint: String,
    state: Mutex<State>,
}

impl Report {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, state: Mutex::default() }
    }

    pub(super) fn failed(&self, cause: &str, counts: &Counts) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing = true;
        if !state.is_due() {
            return;
        }
        let losses = counts.losses();
        tracing::warn!(
            endpoint = %self.endpoint,
            spans.lost = losses.since(counts.told()).total(),
            spans.failed.total = losses.failed,
            spans.dropped.total = losses.dropped,
            "spans are being lost, the export failed: {cause}; the next report comes in {}s at \
             the earliest",
            INTERVAL.as_secs(),
        );
        state.told(counts, losses);
    }

    pub(super) fn arrived(&self, counts: &Counts) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failing {
            state.failing = false;
            tracing::info!(endpoint = %self.endpoint, "spans are exported again");
        }
        // The queue can overflow over a collector that is merely slow: no export fails then.
        let losses = counts.losses();
        let lost = losses.since(counts.told()).total();
        if lost > 0 && state.is_due() {
            tracing::warn!(
                endpoint = %self.endpoint,
                spans.lost = lost,
                spans.dropped.total = losses.dropped,
                "spans are being lost, the queue is full; raise OTEL_BSP_MAX_QUEUE_SIZE or sample",
            );
            state.told(counts, losses);
        }
    }
}
