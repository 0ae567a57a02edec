use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use throughline::boundary;

use super::Error;
use super::book::{Book, Handled, Line, Place};
use super::spans::Spans;

/// Of so many messages one fails before its work is done, one after it, and one panics. Primes, so that
/// no key or group has all of them.
const FLAWED: u64 = 149;

/// Of so many messages one takes as long as it was told.
const SLOW: u64 = 1_009;

/// The handler of a ledger's consumers: it writes down what it sees before that is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Scribe {
    pub(super) book: Arc<Book>,
    pub(super) spans: Spans,
    /// How long it waits for something.
    pub(super) think: Duration,
    /// How long the slow ones do.
    pub(super) slow: Duration,
    /// Whether it never fails.
    pub(super) flawless: bool,
    /// What has failed here: it does once.
    pub(super) failed: Arc<Mutex<HashSet<Place>>>,
}

impl Scribe {
    /// Handles a message of this number, as its sender wrote it, that was found in this place.
    pub(super) async fn handle(&self, id: &str, place: Place, epoch: u64) -> Result<(), Error> {
        let id = id.parse().map_err(|_| Error::Foreign(id.to_owned()))?;
        tokio::time::sleep(if id % SLOW == 3 { self.slow } else { self.think }).await;
        let flaw = id % FLAWED;
        let fails = !self.flawless && [7, 57, 107].contains(&flaw) && self.is_first(&place);
        if !fails {
            return self.write(id, place, epoch);
        }
        if flaw != 7 {
            self.write(id, place.clone(), epoch)?;
        }
        self.book.write(&Line::Failed { process: std::process::id(), place })?;
        if flaw == 107 {
            // As `panic!` does, but for the noise.
            resume_unwind(Box::new("as the ledger wants it"));
        }
        Err(Error::Wanted(id))
    }

    fn is_first(&self, place: &Place) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone())
    }

    pub(super) fn write(&self, id: u64, place: Place, epoch: u64) -> Result<(), Error> {
        let own = boundary().span_context().ok_or(Error::NoSpan(id))?;
        let parent = self.spans.parent(own.span_id()).ok_or(Error::NoSpan(id))?;
        let (process, trace) = (std::process::id(), own.trace_id());
        self.book.write(&Line::Handled(Handled { process, id, place, trace, parent, epoch }))
    }
}
