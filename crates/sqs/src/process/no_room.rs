//! Messages that leave without their trace: told, and not at each one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::span::Place;

const INTERVAL: Duration = Duration::from_secs(60);

struct Told {
    last: Option<Instant>,
    since: u64,
}

#[cold]
pub(super) fn tell(place: &Place) {
    static TOLD: Mutex<Told> = Mutex::new(Told { last: None, since: 0 });
    let messages = {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.since += 1;
        if told.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        told.last = Some(Instant::now());
        std::mem::take(&mut told.since)
    };
    let destination = place.id();
    tracing::warn!(
        destination,
        messages,
        "a message has no room for its trace, which ends here: leave it one of its ten attributes, \
         and 72 bytes"
    );
}
