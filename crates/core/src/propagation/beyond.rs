//! What formats say that OpenTelemetry has no place for.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::fresh;
use crate::codec::Sampling;

/// What a format says that OpenTelemetry's span context can't hold, beside the span context.
#[derive(Debug)]
pub(crate) struct Beyond {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) sampling: Sampling,
    pub(super) lineage: Option<Box<str>>,
}

impl Beyond {
    /// Of no trace.
    pub(super) fn nothing() -> Self {
        let (trace, span) = (TraceId::INVALID, SpanId::INVALID);
        Beyond { trace, span, sampling: Sampling::Accepted, lineage: None }
    }

    /// Whether it says anything that agrees with `flags`.
    pub(super) fn agrees_with(&self, flags: TraceFlags) -> bool {
        self.sampling.flags().is_sampled() == flags.is_sampled()
    }

    /// Adds what another format says of the same span, which has the flags `flags`.
    pub(super) fn complete(&mut self, other: Beyond, flags: TraceFlags) {
        let tells_nothing = matches!(self.sampling, Sampling::Denied | Sampling::Accepted);
        if tells_nothing && other.agrees_with(flags) {
            self.sampling = other.sampling;
        }
        if self.lineage.is_none() {
            self.lineage = other.lineage;
        }
    }

    pub(super) fn without_sampling(self) -> Option<Self> {
        let sampling = Sampling::Accepted;
        self.lineage.is_some().then_some(Beyond { sampling, ..self })
    }

    pub(super) fn sampling_of(&self, span: SpanId) -> Option<Sampling> {
        match self.sampling {
            Sampling::Debug => Some(Sampling::Debug),
            // A span of our own has decided.
            Sampling::Deferred if span == self.span => Some(Sampling::Deferred),
            Sampling::Deferred | Sampling::Denied | Sampling::Accepted => None,
        }
    }
}

/// The parent that a decision without a trace becomes: a trace that nobody records, so that all
/// that is started under it, by whomever, isn't recorded either.
pub(crate) fn denied() -> SpanContext {
    let (trace, span) = (fresh::trace_id(), fresh::span_id());
    SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, true, Default::default())
}
