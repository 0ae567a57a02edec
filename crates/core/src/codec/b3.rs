//! The [B3 headers](https://github.com/openzipkin/b3-propagation) of Zipkin: `b3` alone, or the
//! several `x-b3-…`.
//!
//! Ids are lower-case hex, as the specification has it; a trace id of 64 bits becomes one of 128
//! with zeroes before it. The id of the parent span is checked in the single header, where it has
//! its place, and never kept: OpenTelemetry's spans don't share their ids with their callers.

use opentelemetry::trace::{SpanContext, SpanId, TraceId, TraceState};

use super::hex::{hex, put};
use super::{Malformed, Sampling, ids, trim};

/// The most bytes of a single header: all four fields, the trace id in its long form.
pub const MAX_LENGTH: usize = 32 + 1 + 16 + 1 + 1 + 1 + 16;

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct B3 {
    /// The caller's span; `None` where there is nothing but a decision.
    pub ids: Option<(TraceId, SpanId)>,
    /// The decision.
    pub sampling: Sampling,
}

impl B3 {
    /// The remote span context it stands for, if it has one.
    #[must_use]
    pub fn span_context(&self) -> Option<SpanContext> {
        let (trace, span) = self.ids?;
        Some(SpanContext::new(trace, span, self.sampling.flags(), true, TraceState::NONE))
    }
}

/// Parses the value of one `b3` header:
/// `{trace id}-{span id}[-{decision}[-{parent span id}]]`, or the decision alone.
///
/// # Errors
///
/// The first thing that is wrong with it, from the left.
pub fn parse_single(value: &[u8]) -> Result<B3, Malformed> {
    let value = trim(value);
    if let [decision] = value {
        return Ok(B3 { ids: None, sampling: single_decision(*decision)? });
    }
    if value.len() > MAX_LENGTH {
        return Err(Malformed::Length);
    }
    let mut fields = value.split(|byte| *byte == b'-');
    let (Some(trace), Some(span)) = (fields.next(), fields.next()) else {
        return Err(Malformed::Delimiter);
    };
    let ids = ids(trace, span)?;
    let sampling = match fields.next() {
        None => Sampling::Deferred,
        Some([decision]) => single_decision(*decision)?,
        Some(_) => return Err(Malformed::Flags),
    };
    // Zeroes are no span, but say nothing of the caller's own.
    if let Some(parent) = fields.next()
        && (parent.len() != 16 || hex::<8>(parent).is_none())
    {
        return Err(Malformed::SpanId);
    }
    match fields.next() {
        None => Ok(B3 { ids: Some(ids), sampling }),
        Some(_) => Err(Malformed::Length),
    }
}

fn single_decision(byte: u8) -> Result<Sampling, Malformed> {
    match byte {
        b'0' => Ok(Sampling::Denied),
        b'1' => Ok(Sampling::Accepted),
        b'd' => Ok(Sampling::Debug),
        _ => Err(Malformed::Flags),
    }
}

/// The values of the several headers; the parent's is nobody's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Multi<'a> {
    /// `x-b3-traceid`
    pub trace_id: Option<&'a [u8]>,
    /// `x-b3-spanid`
    pub span_id: Option<&'a [u8]>,
    /// `x-b3-sampled`
    pub sampled: Option<&'a [u8]>,
    /// `x-b3-flags`
    pub flags: Option<&'a [u8]>,
}

/// Parses the several headers; `None` if they say nothing.
///
/// `true` and `false`, which tracers older than the specification send, count as `1` and `0`.
///
/// # Errors
///
/// The first thing that is wrong: a trace id without a span id, too.
pub fn parse_multi(headers: Multi<'_>) -> Result<Option<B3>, Malformed> {
    let sampling = match headers.sampled.map(trim) {
        // Debug implies the decision, whatever else is said.
        _ if headers.flags.map(trim) == Some(b"1") => Sampling::Debug,
        None => Sampling::Deferred,
        Some(b"1") => Sampling::Accepted,
        Some(b"0") => Sampling::Denied,
        Some(word) if word.eq_ignore_ascii_case(b"true") => Sampling::Accepted,
        Some(word) if word.eq_ignore_ascii_case(b"false") => Sampling::Denied,
        Some(_) => return Err(Malformed::Flags),
    };
    match (headers.trace_id.map(trim), headers.span_id.map(trim)) {
        (None, None) if sampling == Sampling::Deferred => Ok(None),
        (None, None) => Ok(Some(B3 { ids: None, sampling })),
        (trace, span) => {
            let ids = ids(trace.unwrap_or_default(), span.unwrap_or_default())?;
            Ok(Some(B3 { ids: Some(ids), sampling }))
        }
    }
}

/// Prints the single header for a valid span context, without a parent span id.
///
/// `sampling` is the decision where the flags of the context can't tell it, as debug and a
/// deferred one.
///
/// ```
/// use throughline_core::codec::b3::{parse_single, print_single};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let header = "463ac35c9f6413ad48485a3953bb6124-0020000000000001-1";
/// let context = parse_single(header.as_bytes())?.span_context().ok_or("no ids")?;
/// assert_eq!(print_single(&context, None).as_str(), header);
/// # Ok(()) }
/// ```
#[must_use]
pub fn print_single(context: &SpanContext, sampling: Option<Sampling>) -> Single {
    let mut out = *b"00000000000000000000000000000000-0000000000000000-0";
    put(&mut out[..32], &context.trace_id().to_bytes());
    put(&mut out[33..49], &context.span_id().to_bytes());
    let mut length = out.len();
    match sampling.unwrap_or_else(|| decision(context)) {
        Sampling::Deferred => length -= 2,
        Sampling::Denied => {}
        Sampling::Accepted => out[50] = b'1',
        Sampling::Debug => out[50] = b'd',
    }
    Single { out, length }
}

/// What the flags of a span context say.
pub(crate) fn decision(context: &SpanContext) -> Sampling {
    if context.is_sampled() { Sampling::Accepted } else { Sampling::Denied }
}

/// A printed `b3`, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    out: [u8; 51],
    length: usize,
}

impl Single {
    /// The header value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits and dashes: never not UTF-8.
        std::str::from_utf8(&self.out[..self.length]).unwrap_or_default()
    }

    /// The value of `x-b3-traceid`.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.as_str()[..32]
    }

    /// The value of `x-b3-spanid`.
    #[must_use]
    pub fn span_id(&self) -> &str {
        &self.as_str()[33..49]
    }
}
