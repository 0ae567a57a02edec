use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, SpanRef, Status, TraceContextExt, TraceFlags, TraceState,
};
use opentelemetry::{Context, ContextGuard, Key, KeyValue, Value};

use super::handle::{Boundary, Failure, State, error_type};
use super::{Description, Process, inside};
use crate::http::redact_text;
use crate::metrics::{Direction, Measure};
use crate::propagation::fresh;
use crate::semconv;
use crate::tracer::{BoundTracer, is_new};

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

/// When a span has started. By type, so that those that start now, nearly all, hear nothing of it.
pub(crate) trait Started {
    fn at(self) -> Option<SystemTime>;
}

impl Started for () {
    #[inline(always)]
    fn at(self) -> Option<SystemTime> {
        None
    }
}

impl Started for SystemTime {
    fn at(self) -> Option<SystemTime> {
        Some(self)
    }
}

/// How a boundary span ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// As it should: the status stays unset.
    Completed,
    /// With an error: the status is Error.
    Failed {
        /// The value of `error.type`: a status code, or the type of an error. Of low cardinality.
        error_type: Cow<'static, str>,
        /// The description of the status; empty where `error.type` says it all.
        description: Cow<'static, str>,
    },
    /// Whoever waited for it gave up. No error: the status stays unset, `error.type` is
    /// `cancelled`.
    Cancelled,
    /// The handler panicked: the status is Error, `error.type` is `panic`.
    Panicked,
}

impl End {
    /// [`End::Failed`], with an `error.type` that says it all.
    #[must_use]
    pub fn failed(error_type: impl Into<Cow<'static, str>>) -> Self {
        End::Failed { error_type: error_type.into(), description: Cow::Borrowed("") }
    }

    // Most messages have nothing to say, which is seen without a call.
    #[inline]
    fn say(self, span: &SpanRef<'_>) {
        if !matches!(self, End::Completed) {
            self.say_why(span);
        }
    }

    fn say_why(self, span: &SpanRef<'_>) {
        let Some(error_type) = self.error_type() else { return };
        span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error_type));
        match self {
            End::Completed | End::Cancelled => {}
            End::Failed { description, .. } => span.set_status(Status::Error { description }),
            End::Panicked => span.set_status(Status::error("the handler panicked")),
        }
    }

    /// The value of `error.type`; `None` where there is none.
    pub(crate) fn error_type(&self) -> Option<Cow<'static, str>> {
        match self {
            End::Completed => None,
            End::Failed { error_type, .. } => Some(error_type.clone()),
            End::Cancelled => Some(Cow::Borrowed(semconv::CANCELLED)),
            End::Panicked => Some(Cow::Borrowed(semconv::PANIC)),
        }
    }

    /// [`End::Failed`], with the type of an error, `_OTHER` for one behind `dyn Error`.
    #[must_use]
    pub fn failed_with<E>() -> Self {
        End::failed(error_type::<E>())
    }

    /// The same, with what the error says (in its alternate form, in which many tell their causes)
    /// as the description of the status. Secrets in URLs are redacted.
    #[must_use]
    pub fn failed_saying<E: ?Sized>(error: &dyn fmt::Display) -> Self {
        let text = format!("{error:#}");
        let description = match redact_text(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(redacted) => Cow::Owned(redacted),
        };
        End::Failed { error_type: Cow::Borrowed(error_type::<E>()), description }
    }
}

impl BoundarySpan {
    /// `complete` adds to what `describe` tells, in place: a description that goes through one
    /// closure after the other is copied by each. It says when the span has started, too, if that
    /// isn't now.
    #[inline]
    pub(crate) fn start<S: Started>(
        tracer: &BoundTracer,
        ask_sampler: bool,
        parent: Context,
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
        complete: impl FnOnce(&mut Description) -> S,
    ) -> Self {
        let is_unsampled = {
            let span = parent.span();
            let above = span.span_context();
            above.is_valid() && !above.is_sampled()
        };
        if is_unsampled && !ask_sampler {
            return BoundarySpan::carry(parent);
        }
        BoundarySpan::record(tracer, parent, kind, describe, complete)
    }

    #[inline]
    fn carry(parent: Context) -> Self {
        let recording = match inside::carries(parent.span().span_context()) {
            true => Recording::Joined,
            false => Recording::Carried,
        };
        if Context::map_current(Context::is_telemetry_suppressed) {
            return BoundarySpan::carry_suppressed(&parent, recording);
        }
        BoundarySpan::idle(parent, recording)
    }

    #[cold]
    fn carry_suppressed(parent: &Context, recording: Recording) -> Self {
        BoundarySpan::idle(parent.with_telemetry_suppressed(), recording)
    }

    // Kept apart, so that the path above stays as short as it looks.
    #[inline(never)]
    fn record<S: Started>(
        tracer: &BoundTracer,
        parent: Context,
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
        complete: impl FnOnce(&mut Description) -> S,
    ) -> Self {
        if Context::map_current(Context::is_telemetry_suppressed) {
            // What came is followed in a context of its own, which must not lift what holds here.
            return BoundarySpan::unstarted(parent.with_telemetry_suppressed());
        }
        let is_outbound = matches!(kind, SpanKind::Client | SpanKind::Producer);
        let mut description = describe();
        let started = complete(&mut description);
        let Description { name, attributes, links, is_request, has_route } = description;
        // As the router's own; one that is made for this request alone is not kept.
        let request = match &name {
            Cow::Borrowed(name) if is_request => Some(*name),
            _ => None,
        };
        let builder = SpanBuilder {
            span_kind: Some(kind),
            name,
            attributes: Some(attributes),
            links,
            start_time: started.at(),
            ..SpanBuilder::default()
        };
        let context = tracer.start(builder, &parent);
        if !is_new(&context, &parent) {
            return BoundarySpan::unstarted(parent);
        }
        // A sampled span is recorded; only one that isn't has to be asked.
        let is_recording = {
            let span = context.span();
            span.span_context().is_sampled() || span.is_recording()
        };
        if !is_recording {
            return BoundarySpan::dropped(context, &parent);
        }
        let (context, recording) = if is_outbound {
            (context, Recording::Alone)
        } else {
            let above = parent.span().span_context().span_id();
            let state = State::new(context.clone(), above, request, has_route);
            (context.with_value(state), Recording::Shared)
        };
        BoundarySpan { context, recording, measured: None, observed: true, panicked: false }
    }

    /// Joins a message whose span an outer layer holds. It carries that span's context wherever it
    /// was lost between the layers, as behind a worker task, and leaves alone what is current
    /// where it wasn't.
    pub fn join(outer: &Boundary) -> Self {
        BoundarySpan::idle(outer.context().clone(), Recording::Joined)
    }

    /// No span, and no context: where somebody else has them, and what is current is right.
    pub fn apart() -> Self {
        BoundarySpan::idle(Context::new(), Recording::Apart)
    }

    /// Carries a message that is not to be recorded, nor what is done for it: a trace that is
    /// sampled goes on, and one that would begin here is none.
    pub(crate) fn passing(parent: Context) -> Self {
        if parent.span().span_context().is_valid() {
            let mut carried = BoundarySpan::carry(parent);
            if carried.recording != Recording::Joined {
                carried.recording = Recording::Passed;
            }
            return carried;
        }
        // Sampled by nobody, so that nothing below begins a trace of its own either.
        let none = SpanContext::new(
            fresh::trace_id(),
            fresh::span_id(),
            TraceFlags::NOT_SAMPLED,
            false,
            TraceState::NONE,
        );
        BoundarySpan::idle(parent.with_remote_span_context(none), Recording::Passed)
    }

    /// Our own sampler said no. OpenTelemetry's SDK makes new flags then, and loses the random one,
    /// which is a fact about the trace's id.
    #[inline]
    fn dropped(context: Context, parent: &Context) -> Self {
        let parent = parent.span();
        let context = match parent.span_context().trace_flags().to_u8() & 0b10 {
            0 => context,
            random => {
                let span = context.span();
                let span = span.span_context();
                let flags = TraceFlags::new(span.trace_flags().to_u8() | random);
                let state = span.trace_state().clone();
                let ids = (span.trace_id(), span.span_id());
                let span = SpanContext::new(ids.0, ids.1, flags, false, state);
                context.with_remote_span_context(span)
            }
        };
        BoundarySpan::idle(context, Recording::Dropped)
    }

    /// No span was to be had.
    #[cold]
    fn unstarted(parent: Context) -> Self {
        let is_followed = parent.span().span_context().is_valid();
        let recording = if is_followed { Recording::Carried } else { Recording::Empty };
        BoundarySpan::idle(parent, recording)
    }

    fn idle(context: Context, recording: Recording) -> Self {
        BoundarySpan { context, recording, measured: None, observed: false, panicked: false }
    }

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

    /// Runs `f` with the context attached. A panic in it goes on, and is remembered.
    #[inline]
    pub fn enter<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let entered = self.entered();
        let result = f();
        self.exit(entered);
        result
    }

    /// Attaches the context until [`exit`](Self::exit), for where [`enter`](Self::enter) would move
    /// too much. Without it, as where a panic goes on, the span stays marked as panicked.
    // Always: three times a request.
    #[doc(hidden)]
    #[inline(always)]
    pub fn entered(&mut self) -> Entered {
        let panicked = std::mem::replace(&mut self.panicked, true);
        let (attached, inside) = match self.recording {
            Recording::Joined => (self.rejoin(), None),
            Recording::Apart => (None, None),
            Recording::Alone => {
                (Some(self.context.clone().attach()), Some(inside::enter_outbound(&self.context)))
            }
            Recording::Carried | Recording::Passed => {
                (Some(self.context.clone().attach()), Some(inside::enter_carried(&self.context)))
            }
            _ => (Some(self.context.clone().attach()), None),
        };
        Entered { panicked, _attached: attached, _inside: inside }
    }

    /// Detaches the context: nothing has panicked.
    #[doc(hidden)]
    #[inline]
    pub fn exit(&mut self, entered: Entered) {
        self.panicked = entered.panicked;
    }

    #[inline(never)]
    fn rejoin(&self) -> Option<ContextGuard> {
        (!is_current(&self.context)).then(|| self.context.clone().attach())
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

/// Whether the context that is current here is of the same trace as `context`.
#[inline]
fn is_current(context: &Context) -> bool {
    Context::map_current(|current| is_same_trace(current, context))
}

#[inline]
fn is_same_trace(one: &Context, other: &Context) -> bool {
    let trace = |context: &Context| context.span().span_context().trace_id();
    one.has_active_span() == other.has_active_span() && trace(one) == trace(other)
}

/// The context of a [`BoundarySpan`], attached to this thread.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the span is marked as panicked until `exit` is called"]
pub struct Entered {
    panicked: bool,
    _attached: Option<ContextGuard>,
    _inside: Option<inside::Entered>,
}

impl Drop for BoundarySpan {
    #[inline]
    fn drop(&mut self) {
        if self.observed {
            self.close(if self.panicked { End::Panicked } else { End::Cancelled });
        }
    }
}
