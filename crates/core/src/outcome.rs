//! What became of each extraction and injection, counted.
//!
//! Bad input never costs a request its answer: the trace restarts, and a counter says why.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::codec::Malformed;
use crate::metrics;

/// What an extraction found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A valid context, and the trace goes on.
    Continued,
    /// No context.
    Absent,
    /// A context that is refused; the trace restarts.
    Malformed(Malformed),
    /// A valid context from a sender that is not trusted to continue the trace.
    Untrusted,
}

impl Outcome {
    /// Whether nothing came that could be read, which is a break where a context was expected.
    #[must_use]
    pub fn lacks_context(self) -> bool {
        matches!(self, Outcome::Absent | Outcome::Malformed(_))
    }
}

/// How often each outcome happened in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcomes {
    /// Extractions that continued a trace.
    pub continued: u64,
    /// Extractions that found nothing.
    pub absent: u64,
    /// Extractions that refused what they found, by reason; the reasons that never occurred are
    /// left out.
    pub malformed: Vec<(Malformed, u64)>,
    /// Extractions that didn't trust what they found.
    pub untrusted: u64,
    /// Injections of a trace.
    pub injected: u64,
    /// Injections that had no trace to inject: somewhere above, the context was lost.
    pub nothing_to_inject: u64,
    /// Injections into messages that had no room for their trace, which ends there.
    pub no_room: u64,
}

const REASONS: [Malformed; 7] = [
    Malformed::Doubled,
    Malformed::Length,
    Malformed::Version,
    Malformed::Delimiter,
    Malformed::TraceId,
    Malformed::SpanId,
    Malformed::Flags,
];

// A reason that is added has to be counted.
const _: () = assert!(REASONS[REASONS.len() - 1] as usize == REASONS.len() - 1);

static CONTINUED: AtomicU64 = AtomicU64::new(0);
static ABSENT: AtomicU64 = AtomicU64::new(0);
static MALFORMED: [AtomicU64; REASONS.len()] = [const { AtomicU64::new(0) }; REASONS.len()];
static UNTRUSTED: AtomicU64 = AtomicU64::new(0);
static INJECTED: AtomicU64 = AtomicU64::new(0);
static NOTHING_TO_INJECT: AtomicU64 = AtomicU64::new(0);
static NO_ROOM: AtomicU64 = AtomicU64::new(0);

/// The counts since the process started.
#[must_use]
pub fn outcomes() -> Outcomes {
    let malformed = REASONS.into_iter().zip(&MALFORMED);
    let malformed = malformed.map(|(reason, count)| (reason, count.load(Relaxed)));
    Outcomes {
        continued: CONTINUED.load(Relaxed),
        absent: ABSENT.load(Relaxed),
        malformed: malformed.filter(|(_, count)| *count > 0).collect(),
        untrusted: UNTRUSTED.load(Relaxed),
        injected: INJECTED.load(Relaxed),
        nothing_to_inject: NOTHING_TO_INJECT.load(Relaxed),
        no_room: NO_ROOM.load(Relaxed),
    }
}

#[inline]
pub(crate) fn count_extraction(outcome: Outcome) {
    let counter = match outcome {
        Outcome::Continued => &CONTINUED,
        Outcome::Absent => &ABSENT,
        Outcome::Malformed(reason) => match MALFORMED.get(reason as usize) {
            Some(counter) => counter,
            None => return,
        },
        Outcome::Untrusted => &UNTRUSTED,
    };
    count(counter);
}

#[inline]
pub(crate) fn count_injection(had_trace: bool) {
    let counter = if had_trace { &INJECTED } else { &NOTHING_TO_INJECT };
    count(counter);
}

pub(crate) fn count_no_room() {
    count(&NO_ROOM);
}

#[inline]
fn count(counter: &AtomicU64) {
    // Now and then, and with the first message, which costs nothing where it is counted anyway.
    if counter.fetch_add(1, Relaxed).is_multiple_of(256) {
        metrics::look();
    }
}
