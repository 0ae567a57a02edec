mod enter;
mod start;

use std::borrow::Cow;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, Key, KeyValue, Value};

use super::handle::{Boundary, Failure, State};
use super::{End, Process};
use crate::metrics::{Direction, Measure};

pub use enter::Entered;

/// The span of one message at one boundary, and the context it runs in: the second step of the
/// law.
///
/// It is owned by whatever drives the message, and ends exactly once: by [`end`](Self::end), or
/// when it is dropped, as [`End::Panicked`] if the code under [`enter`](Self::enter) panicked,
/// else as [`End::Cancelled`]. The handler reaches it through [`boundary`](super::boundary).
///
/// Where nothing is recorded (an unsampled parent, no provider, one that was shut down, a context
/// in which telemetry is suppressed) it still carries the context: in the handler the sender's span
/// is the parent, unchanged. (A message of an unsampled trace that leaves has an id of its own all
/// the same, since it is another message.)
///
/// # Its states
///
/// ```text
///               ┌─ carried, empty, joined, dropped ── end, finish, panic, drop: nothing to tell
///   start, join ┤
///               └─ recording ──┬── end, finish ── Completed, Failed, … as said ─┐
///                  (alone or   ├── drop ───────── Cancelled ────────────────────┼─▶ ended
///                   shared)    └── drop after a panic ── Panicked ──────────────┘
/// ```
///
/// A start chooses the state, and only a recording one is ever left:
///
/// | state | where | current inside | [`handle`](Self::handle) |
/// |---|---|---|---|
/// | carried | unsampled sender; no span to be had, and a sender to follow | the sender's context | none |
/// | empty | no span to be had, and no sender to follow | a context without a span | one that does nothing |
/// | joined | [`join`](Self::join); inside of an outer boundary that carries this very message | what was current there, else the outer layer's context | none |
/// | dropped | our own sampler said no | a new, unsampled span context | one that does nothing |
/// | recording, alone | CLIENT, PRODUCER | the span's context | none |
/// | recording, shared | every other kind | the span's context | one that reaches the span |
/// | ended | after the end | the span's context, still | none |
///
/// "No span to be had" is: no provider, one that was shut down, or suppressed telemetry.
///
/// | arrow | recording | otherwise |
/// |---|---|---|
/// | [`enter`](Self::enter), [`process`](Self::process) | the context is current in the call, in every poll and in the future's drop | the same, the ended span's too; but for joined, which attaches only what was lost |
/// | a panic in those | noted, and told by the drop | noted |
/// | [`set_attribute`](Self::set_attribute) | set | nothing |
/// | [`Boundary::fail`], first call | status and `error.type` are set, the span goes on | a log record only; once ended, nothing |
/// | [`end`](Self::end), [`finish`](Self::finish) | told, unless `fail` was; ended | nothing |
/// | drop | ended as `Cancelled`, or `Panicked` where a panic was noted; `fail` holds all the same | nothing |
///
/// Handles may be used by any number of threads meanwhile: an end and a `fail` that race tell one
/// reason, whole. After the end a handle does nothing and says so:
/// [`is_recording`](Boundary::is_recording) is false, [`has_ended`](Boundary::has_ended) true.
#[derive(Debug)]
#[must_use = "a boundary span that is dropped at once ends as cancelled"]
pub struct BoundarySpan {
    context: Context,
    recording: Recording,
    /// Whether the message is measured, by what its context holds.
    measured: Option<Direction>,
    /// Whether it is recording, or measured: what is asked most.
    observed: bool,
    panicked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Recording {
    /// The context is an outer layer's. Where it is current nothing is attached, since what is
    /// current may be a span, or have baggage, from between the layers.
    Joined,
    /// Somebody else holds the span, and what is current stays.
    Apart,
    /// Nothing was started: the context is the sender's own.
    Carried,
    /// Nothing is to be recorded, and no inner layer may think otherwise.
    Passed,
    /// Nothing was started, and no sender is followed: the context is empty.
    Empty,
    /// A span that its sampler dropped: the context is new, and says so to all below.
    Dropped,
    /// A span that has ended, whose context lives on.
    Ended,
    /// A span that nobody else reaches (outbound).
    Alone,
    /// A span with a [`State`] in its context, for the handler.
    Shared,
}

impl BoundarySpan {
    /// The context of the message: what a handler runs in, and what is injected.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether attributes set now will be seen by anyone.
    #[inline]
    #[must_use]
    pub fn is_recording(&self) -> bool {
        matches!(self.recording, Recording::Alone | Recording::Shared)
    }

    /// Whether nothing was started, and the context is the parent's own or an outer layer's.
    ///
    /// Not so for a span that its sampler dropped: its context is new, and everything below has to
    /// learn from it that the trace is not sampled.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        matches!(
            self.recording,
            Recording::Carried
                | Recording::Passed
                | Recording::Empty
                | Recording::Joined
                | Recording::Apart
        )
    }

    /// The cheap handle for an extension of the message, by which a second layer finds that the
    /// message was judged already; `None` where the sender's own context goes on, which a second
    /// layer finds in the message itself, and nothing is measured.
    #[inline]
    #[must_use]
    pub fn handle(&self) -> Option<Boundary> {
        // `Empty` and `Passed`, too: whom the first layer didn't follow, or record, a second must
        // not either.
        let is_news = matches!(
            self.recording,
            Recording::Shared | Recording::Dropped | Recording::Empty | Recording::Passed
        );
        (is_news || self.measured.is_some()).then(|| Boundary::of(self.context.clone()))
    }

    /// Measures the message as well: to the span's end, or to where that would be. Handlers reach
    /// the measurement through the context, as they do the span.
    #[cold]
    pub fn measured(&mut self, measure: Measure) {
        let direction = measure.direction();
        self.context = measure.in_context(&self.context);
        self.measured = Some(direction);
        self.observed = true;
        // What is sent for a message that is carried here is a message of its own: within, its own
        // measurement has to be found.
        if self.recording == Recording::Joined {
            self.recording = Recording::Carried;
        }
    }

    /// The measurement of a message that has not ended.
    #[inline]
    #[must_use]
    pub fn measure(&self) -> Option<&Measure> {
        match self.measured {
            None => None,
            Some(direction) => Measure::of(&self.context, direction),
        }
    }

    /// Whether anybody learns how the message ends: by a span that is recorded, or by a measurement.
    #[inline]
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.observed
    }

    /// Whether the message is carried inside of an outer layer's boundary, which measures it, too.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        matches!(self.recording, Recording::Joined | Recording::Apart)
    }

    /// Sets an attribute of the span, and of what is measured: one of a bounded set.
    #[inline]
    pub fn tell(&self, key: &'static str, value: impl Into<Value>) {
        match self.measured {
            None => self.set_attribute(key, value),
            Some(_) => self.tell_both(key, value.into()),
        }
    }

    #[cold]
    fn tell_both(&self, key: &'static str, value: Value) {
        self.set_attribute(key, value.clone());
        if let Some(measure) = self.measure() {
            measure.tell(key, value);
        }
    }

    /// Sets an attribute, one that isn't set yet: OpenTelemetry keeps doubles.
    pub fn set_attribute(&self, key: &'static str, value: impl Into<Value>) {
        if self.is_recording() {
            self.context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// The same, with a key that is made.
    pub fn add(&self, key: Key, value: impl Into<Value>) {
        if self.is_recording() {
            self.context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Names the span anew: where it is known at the end only what it is of.
    pub fn set_name(&self, name: impl Into<Cow<'static, str>>) {
        if self.is_recording() {
            self.context.span().update_name(name);
        }
    }

    /// Says why the message failed, as its handler would with [`Boundary::fail`]; nothing where an
    /// outer layer holds the message, which says it itself.
    pub fn fail_as(&self, failure: &Failure) {
        if !self.is_joined() {
            Boundary::of(self.context.clone()).fail_as(failure);
        }
    }

    /// Whether a panic was noted: it will be told by the drop.
    #[doc(hidden)]
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.panicked
    }

    /// Runs a future in this span: every poll, and its drop. The span comes back with its output.
    pub fn process<F: Future>(self, future: F) -> Process<F> {
        Process::new(self, future)
    }

    /// Ends the span.
    ///
    /// Where the handler has called [`Boundary::fail`], its reason stands and that of `end` is
    /// left out.
    #[inline]
    pub fn end(mut self, end: End) {
        self.finish(end);
    }

    /// Ends the span and keeps its context, for what is still to be run or dropped in it. Only
    /// the first call ends it.
    #[inline]
    pub fn finish(&mut self, end: End) {
        if self.observed {
            self.close(end);
        }
    }

    // By value, as `close` has it: one that is lent lies in memory for all.
    #[cold]
    fn close_measured(&mut self, end: End) {
        if let Some(measure) = self.measure() {
            measure.end(&end);
        }
        self.measured = None;
        self.observed = false;
        if self.is_recording() {
            self.close(end);
        }
    }

    fn close(&mut self, end: End) {
        if self.measured.is_some() {
            return self.close_measured(end);
        }
        self.observed = false;
        let recording = std::mem::replace(&mut self.recording, Recording::Ended);
        let span = self.context.span();
        match self.context.get::<State>() {
            Some(state) if recording == Recording::Shared => {
                state.settle(|span| end.say(span));
                state.end();
            }
            // An outbound span sees the state of the message it is sent for.
            _ => end.say(&span),
        }
        span.end();
    }
}

impl Drop for BoundarySpan {
    #[inline]
    fn drop(&mut self) {
        if self.observed {
            self.close(if self.panicked { End::Panicked } else { End::Cancelled });
        }
    }
}
