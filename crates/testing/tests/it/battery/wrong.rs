//! All that can be wrong with a boundary.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use throughline_core::Trust;

/// What is wrong with a boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wrong {
    Nothing,
    // What came, and what leaves.
    /// In a header of this name it takes one text for another: nothing for a header that is
    /// absent, or to be.
    Rewrites(&'static str, &'static str, &'static str),
    /// It knows this header only as it is written in lower case.
    MindsTheCaseOf(&'static str),
    /// The same where it takes it away, with nothing in its place.
    MindsTheCaseToRemove(&'static str),
    /// It reads the first header of this name.
    ReadsTheFirst(&'static str),
    NamesNothing,
    /// It tells the names of so many headers.
    NamesTheFirst(usize),
    KeepsToW3c,
    AltersTheParent,
    InventsAParent,
    UsesTheAmbientParent,
    UsesTheAmbientBaggage,
    ForgetsThatTheParentIsRemote,
    Trusts(Trust, Trust),
    LinksToSampledOnly,
    LinksToOthers,
    KeepsTheTracestate,
    KeepsTheBaggage,
    ForgetsTheMark,
    MarksUnasked,
    MarksWhatHasAParent,
    AsksTheSampler,
    DoublesTheHeader,
    /// Another header of this name than the sender's own is left as it is.
    KeepsTheStale(&'static str),
    /// The same, where there is none to take its place.
    ForgetsTheStale(&'static str),
    /// The stale trace is kept, where nothing is current.
    KeepsTheStaleTrace,
    /// What a message was created in gives way, and isn't linked to.
    ReplacesTheCreation,
    ForgetsTheCreation,
    /// What a handler has copied is taken for what a message was created in.
    KeepsTheCopy,
    DropsOtherHeaders,
    SendsAsSampled,
    // The context of the handler, or of the peer.
    DropsTheContext,
    RunsInTheParent,
    KeepsOnlyTheIds,
    ErasesWhatIsNotRecorded,
    /// The context is current in so many polls.
    LosesTheContextAt(usize),
    LosesTheContextInDrop,
    SharesOneContext,
    MixesTheBaggage,
    // The span.
    RecordsNothing,
    RecordsAnyway,
    IsOfAnotherKind,
    MakesTwoSpans,
    LeavesTheSpanOpen,
    EndsEarly,
    EndsTwice,
    /// What ended so is told with the status Error or not, and with this `error.type` or none.
    Tells(Ending, bool, &'static str),
    DoublesTheErrorType,
    // The message.
    Hangs,
    Detaches,
    /// No message leaves.
    Swallows,
    HandlesTwice,
    Panics,
    // The message that nobody waits for.
    HandsOverLate,
    EndsWithTheFuture,
    TellsThatNobodyWaits,
    // Two layers.
    StartsAgain,
    ForgetsWhatIsNotRecorded,
    EntersTheOuterAgain,
    DescribesTwice,
    BuildsTheSameTwice,
    HasNothingBetween,
}
use Wrong::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    Success,
    Failure,
    Panic,
    Cancel,
}

/// A protocol that is nothing but headers.
pub(super) struct Memory {
    pub(super) wrong: Wrong,
    /// Whether a message was done, and all should have ended.
    pub(super) done: AtomicBool,
}

impl Memory {
    pub(super) fn new(wrong: Wrong) -> Self {
        Memory { wrong, done: AtomicBool::new(false) }
    }

    /// Short for those who make the battery wait in vain, which makes the test slow.
    pub(super) fn patience(&self) -> Duration {
        match self.wrong {
            Hangs => Duration::from_millis(5),
            LeavesTheSpanOpen | RecordsNothing if self.done.load(Relaxed) => Duration::ZERO,
            Nothing => Duration::from_secs(10),
            _ => Duration::from_secs(1),
        }
    }
}
