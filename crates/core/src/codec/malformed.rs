//! Why a trace context is refused.

/// Why a trace context is refused, in whatever format it came. The trace restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The header came more than once: no one can say which of them holds.
    #[error("more than one trace context")]
    Doubled,
    /// Too short or too long for its version, or with fields that the format doesn't have.
    #[error("a trace context of the wrong length")]
    Length,
    /// The version isn't two lower-case hex digits, or is the forbidden `ff`.
    #[error("a trace context of an invalid version")]
    Version,
    /// The dashes (or what else keeps the fields apart) are not where they belong.
    #[error("a trace context without its delimiters")]
    Delimiter,
    /// The trace id is missing, isn't lower-case hex, or is all zeroes.
    #[error("a trace context with an invalid trace id")]
    TraceId,
    /// The span id is missing, isn't lower-case hex, or is all zeroes.
    #[error("a trace context with an invalid span id")]
    SpanId,
    /// The flags, or the sampling decision, are none that the format has.
    #[error("a trace context with invalid flags")]
    Flags,
}

impl Malformed {
    /// A short constant word for it, fit for the attribute of a metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Malformed::Doubled => "doubled",
            Malformed::Length => "length",
            Malformed::Version => "version",
            Malformed::Delimiter => "delimiter",
            Malformed::TraceId => "trace_id",
            Malformed::SpanId => "span_id",
            Malformed::Flags => "flags",
        }
    }
}
