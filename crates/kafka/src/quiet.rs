//! What may happen all the time, and is told now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

/// How often an error that passes by itself is told at the level WARN.
const QUIET: Duration = Duration::from_secs(10);

/// When something was told last that may happen all the time.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Option<Instant>>);

impl Quiet {
    /// Whether to tell it again.
    pub(crate) fn is_over(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = last.is_none_or(|last| last.elapsed() >= QUIET);
        if is_over {
            *last = Some(Instant::now());
        }
        is_over
    }

    /// An error of the client as a whole, which names the broker that can't be reached: twenty a
    /// second, while all of them are away. rdkafka tells the crate `log`, where few services look.
    pub(crate) fn client_error(&self, of: &str, error: &KafkaError, reason: &str) {
        match self.is_over() {
            true => tracing::warn!(%error, reason, "{of} has trouble, and goes on"),
            false => tracing::debug!(%error, reason, "{of} has trouble, and goes on"),
        }
    }
}
