//! When what is settled is sent: ten at a time, or after a while.

use std::time::Duration;

use tokio::time::Instant;

use super::calls::BATCH;

/// How long what is settled waits for company.
pub(super) const LINGER: Duration = Duration::from_millis(50);

/// Takes out what is to be sent now: full batches, and all of it once somebody has waited enough.
pub(super) fn ready(due: &mut Vec<(Instant, u64)>, now: Instant, hurry: bool) -> Vec<Vec<u64>> {
    let soon = now + LINGER;
    let is_over = hurry || due.iter().any(|(at, _)| *at <= now);
    let count = due.iter().filter(|(at, _)| *at <= soon).count();
    let mut left = if is_over { count } else { count - count % BATCH };
    let mut ids = Vec::with_capacity(left);
    due.retain(|(at, id)| {
        let taken = left > 0 && *at <= soon;
        if taken {
            left -= 1;
            ids.push(*id);
        }
        !taken
    });
    ids.chunks(BATCH).map(<[u64]>::to_vec).collect()
}
