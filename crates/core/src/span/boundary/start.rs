//! The start of a boundary's span, which chooses its state.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceState,
};

use super::{BoundarySpan, Recording};
use crate::propagation::fresh;
use crate::span::handle::{Boundary, State};
use crate::span::{Description, inside};
use crate::tracer::{BoundTracer, is_new};

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
}
