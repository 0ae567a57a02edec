//! What a test says about the spans of a recorder.

use std::collections::HashSet;

use throughline_lineage::{Answer, Forest, Settings, Trace};

use crate::Recorder;
use crate::tree::{TreeError, check_tree};
use crate::wait::outlines;

/// What isn't as it should be, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The traces have another shape.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Nothing was recorded: nobody has the recorder's provider, or no work was done; at the most,
    /// messages were fetched or settled.
    #[error("there is no span")]
    NoSpan,
    /// There is more than one trace.
    #[error("there are {count} traces, where one was expected:\n{outlines}")]
    SeveralTraces {
        /// How many there are.
        count: usize,
        /// All of them, as outlines.
        outlines: String,
    },
    /// Spans have lost their context.
    #[error("the context was lost:\n{0}")]
    Orphans(String),
    /// Spans belong to no scope of a recorder.
    #[error(
        "started outside of every scope, by this test or by one beside it: {}; the context was \
         lost on the way there, or the test that started them has no scope",
        .0.join(", ")
    )]
    Strays(Vec<String>),
    /// Spans were started and never ended.
    #[error("{} never ended: {}", if .0.len() == 1 { "a span" } else { "spans" }, .0.join(", "))]
    Open(Vec<String>),
    /// Spans were ended more than once.
    #[error("ended more than once: {}", times(.0))]
    EndedTwice(Vec<(String, u32)>),
}

fn times(spans: &[(String, u32)]) -> String {
    let spans: Vec<_> =
        spans.iter().map(|(name, times)| format!("{name} ({times} times)")).collect();
    spans.join(", ")
}

impl Recorder {
    /// Compares the spans that have ended with a text; see [`tree`](crate::tree).
    ///
    /// # Errors
    ///
    /// [`Failure::Strays`], if spans may be missing that this test has lost; [`Failure::Tree`],
    /// with the difference line by line.
    pub fn check_tree(&self, expected: &str) -> Result<(), Failure> {
        self.check_no_strays()?;
        Ok(check_tree(&self.spans(), expected)?)
    }

    /// The same without [housekeeping](Trace::is_housekeeping): calls that fetch or settle messages,
    /// and are traces of their own. How many of those a consumer makes is a matter of timing.
    ///
    /// # Errors
    ///
    /// As of [`check_tree`](Self::check_tree).
    pub fn check_tree_without_housekeeping(&self, expected: &str) -> Result<(), Failure> {
        self.check_no_strays()?;
        let forest = self.forest();
        let aside: HashSet<_> =
            forest.traces().iter().filter(|trace| trace.is_housekeeping()).map(Trace::id).collect();
        let mut spans = self.spans();
        spans.retain(|span| !aside.contains(&span.trace_id));
        Ok(check_tree(&spans, expected)?)
    }

    /// Whether all spans that have ended are of one trace, beside
    /// [housekeeping](Trace::is_housekeeping); yields the trace.
    ///
    /// # Errors
    ///
    /// [`Failure::SeveralTraces`] with all of them, [`Failure::NoSpan`] if there is nothing,
    /// [`Failure::Strays`] if there may be one more that this test has lost.
    pub fn check_one_trace(&self) -> Result<Trace, Failure> {
        self.check_no_strays()?;
        let forest = self.forest();
        let traces: Vec<_> =
            forest.traces().iter().filter(|trace| !trace.is_housekeeping()).collect();
        match traces[..] {
            [] => Err(Failure::NoSpan),
            [trace] => Ok(trace.clone()),
            _ => Err(Failure::SeveralTraces {
                count: traces.len(),
                outlines: outlines(self.spans()),
            }),
        }
    }

    /// Whether no span has lost its context, still open or not, by the verdict that
    /// [`lineage`](crate::lineage) passes on services.
    ///
    /// A remote parent that was never recorded is the test itself, which played the caller. A request
    /// or message that brings no context is a root like any other, unless its boundary was told to
    /// [expect a parent](throughline_core::Config::expect_parent): without that, a producer that was
    /// left unwrapped isn't seen here. Nor may a test, or a job, call or send with no span around it,
    /// but as [`root::Declared`](throughline_core::root::Declared).
    ///
    /// # Errors
    ///
    /// [`Failure::Orphans`], with the class of each break and the call to use instead;
    /// [`Failure::Strays`] with the names of spans that this test may have lost;
    /// [`Failure::NoSpan`], where nothing proves nothing.
    pub fn check_no_orphans(&self) -> Result<(), Failure> {
        self.check_no_strays()?;
        let spans = self.started();
        if spans.is_empty() {
            return Err(Failure::NoSpan);
        }
        let mut verdict = Forest::new(spans).judge(&Settings::complete());
        verdict.breaks.retain(|found| found.answer != Answer::External);
        verdict.summary.orphans = verdict.breaks.len();
        if verdict.is_unbroken() { Ok(()) } else { Err(Failure::Orphans(verdict.to_string())) }
    }

    /// Whether no span was started outside of every [`scope`](Self::scope) that one of this
    /// recorder may have lost.
    ///
    /// # Errors
    ///
    /// [`Failure::Strays`], with their names.
    pub fn check_no_strays(&self) -> Result<(), Failure> {
        match self.strays() {
            strays if strays.is_empty() => Ok(()),
            strays => Err(Failure::Strays(strays)),
        }
    }

    /// Whether every span that was started has ended, exactly once.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`] and [`Failure::EndedTwice`], with the names.
    pub fn check_all_ended(&self) -> Result<(), Failure> {
        let open = self.open_spans();
        if !open.is_empty() {
            return Err(Failure::Open(open.into_iter().map(|span| span.name).collect()));
        }
        match self.ended_twice() {
            twice if twice.is_empty() => Ok(()),
            twice => Err(Failure::EndedTwice(twice)),
        }
    }

    /// [`check_tree`](Self::check_tree), asserting.
    ///
    /// # Panics
    ///
    /// When the traces are not as expected, with the difference line by line, or spans were lost.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        assert(self.check_tree(expected));
    }

    /// [`check_tree_without_housekeeping`](Self::check_tree_without_housekeeping), asserting.
    ///
    /// # Panics
    ///
    /// As of [`assert_tree`](Self::assert_tree).
    #[track_caller]
    pub fn assert_tree_without_housekeeping(&self, expected: &str) {
        assert(self.check_tree_without_housekeeping(expected));
    }

    /// [`check_one_trace`](Self::check_one_trace), asserting.
    ///
    /// # Panics
    ///
    /// When there is no trace, or more than one, or spans were lost.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "the trace comes on top of the assertion")]
    pub fn assert_one_trace(&self) -> Trace {
        assert(self.check_one_trace())
    }

    /// [`check_no_orphans`](Self::check_no_orphans), asserting.
    ///
    /// # Panics
    ///
    /// When a span has lost its context, or there is none at all.
    #[track_caller]
    pub fn assert_no_orphans(&self) {
        assert(self.check_no_orphans());
    }

    /// [`check_no_strays`](Self::check_no_strays), asserting.
    ///
    /// # Panics
    ///
    /// When there is one, with its name.
    #[track_caller]
    pub fn assert_no_strays(&self) {
        assert(self.check_no_strays());
    }

    /// [`check_all_ended`](Self::check_all_ended), asserting.
    ///
    /// # Panics
    ///
    /// When a span is open, or was ended twice.
    #[track_caller]
    pub fn assert_all_ended(&self) {
        assert(self.check_all_ended());
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "this is what asserting means")]
fn assert<T>(result: Result<T, Failure>) -> T {
    match result {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}
