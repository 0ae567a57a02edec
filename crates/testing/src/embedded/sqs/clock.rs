//! The server's time, which a test can put forward.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Tells milliseconds since 1970, in which all of the server counts.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    started_at: u64,
    ahead: Mutex<u64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Clock { started: Instant::now(), started_at: millis(since), ahead: Mutex::default() }
    }

    pub(super) fn now(&self) -> u64 {
        let ahead = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        self.started_at + millis(self.started.elapsed()) + ahead
    }

    pub(super) fn advance(&self, time: Duration) {
        // A century is as good as for ever, and no sum overflows.
        const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead = ahead.saturating_add(millis(time)).min(CENTURY);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
