//! Tells that spans are being lost: at once, then rarely.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counts::Counts;

/// An outage of an hour is sixty lines, not one for every batch of every service.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    told: u64,
    failing: bool,
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
        if state.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        let (failed, dropped) = (counts.failed(), counts.dropped());
        let lost = failed + dropped;
        tracing::warn!(
            endpoint = %self.endpoint,
            spans.lost = lost.saturating_sub(state.told),
            spans.failed.total = failed,
            spans.dropped.total = dropped,
            "spans are being lost, the export failed: {cause}; the next report comes in {}s at \
             the earliest",
            INTERVAL.as_secs(),
        );
        *state = State { last: Some(Instant::now()), told: lost, failing: true };
    }

    pub(super) fn arrived(&self, counts: &Counts) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failing {
            state.failing = false;
            tracing::info!(endpoint = %self.endpoint, "spans are exported again");
        }
        // The queue can overflow over a collector that is merely slow: no export fails then.
        let lost = counts.failed() + counts.dropped();
        if lost > state.told && state.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            tracing::warn!(
                endpoint = %self.endpoint,
                spans.lost = lost - state.told,
                spans.dropped.total = counts.dropped(),
                "spans are being lost, the queue is full; raise OTEL_BSP_MAX_QUEUE_SIZE or sample",
            );
            state.last = Some(Instant::now());
            state.told = lost;
        }
    }
}
