//! Codecs: from bytes to a context's parts and back, strictly.
//!
//! They are total (no input panics), allocate only what is kept, and never repair what is broken:
//! what the specification calls invalid is refused with the reason.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId};

pub mod b3;
pub mod baggage;
pub mod traceparent;
pub mod tracestate;
pub mod xray;

mod hex;
mod malformed;

pub use malformed::Malformed;

/// Cuts off optional white space (RFC 9110: space and tab) at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// What a format of tracing says of sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Nothing: whoever comes next may decide.
    #[default]
    Deferred,
    /// The trace is not recorded.
    Denied,
    /// The trace is recorded.
    Accepted,
    /// It is recorded whatever anybody else thinks (B3 only).
    Debug,
}

impl Sampling {
    /// The flags that OpenTelemetry has for it: nothing that is deferred is sampled.
    #[must_use]
    pub fn flags(self) -> TraceFlags {
        match self {
            Sampling::Deferred | Sampling::Denied => TraceFlags::NOT_SAMPLED,
            Sampling::Accepted | Sampling::Debug => TraceFlags::SAMPLED,
        }
    }
}

/// Both ids of a span, valid ones.
pub(crate) fn ids(trace: &[u8], span: &[u8]) -> Result<(TraceId, SpanId), Malformed> {
    let trace = match trace.len() {
        32 => hex::hex::<16>(trace),
        16 => hex::hex::<8>(trace),
        _ => None,
    };
    let trace = trace.filter(|id| *id != 0).ok_or(Malformed::TraceId)?;
    let span = if span.len() == 16 { hex::hex::<8>(span) } else { None };
    let span = span.filter(|id| *id != 0).ok_or(Malformed::SpanId)?;
    Ok((TraceId::from(trace), SpanId::from(span as u64)))
}
