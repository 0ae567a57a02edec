//! Ids for spans that nobody records.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use opentelemetry::trace::{SpanId, TraceId};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one("span ids"));
}

/// A span id that nobody has, as far as chance goes. Nothing secret hangs on it.
#[inline]
pub(crate) fn span_id() -> SpanId {
    SpanId::from(number())
}

/// The same, of a trace.
pub(crate) fn trace_id() -> TraceId {
    TraceId::from(u128::from(number()) << 64 | u128::from(number()))
}

#[inline]
fn number() -> u64 {
    // SplitMix64: one addition a step, seeded by the operating system for each thread.
    let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(state);
    let mut id = state;
    id = (id ^ (id >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    id ^= id >> 31;
    id.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "threads of no trace")]
    fn ids_differ_and_are_valid_on_all_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..10_000).map(|_| span_id()).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<_> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect();
        assert!(!ids.contains(&SpanId::INVALID));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40_000);
    }
}
