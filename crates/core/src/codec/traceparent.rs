//! The `traceparent` header of [W3C Trace Context level 2](https://www.w3.org/TR/trace-context-2/#traceparent-header).

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

pub use super::Malformed;
use super::hex::{byte, hex, put};
use super::trim;

/// The length of a version 00 header, and the least of any later version.
pub const LENGTH: usize = 55;

/// The flags that level 2 defines, sampled and random; the others are reserved and sent as zero.
const KNOWN_FLAGS: u8 = 0b11;

/// A parsed `traceparent`: both ids are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace the caller is part of.
    pub trace_id: TraceId,
    /// The span of the caller.
    pub span_id: SpanId,
    /// The sampled and the random flag, as they came; reserved ones are cleared.
    pub flags: TraceFlags,
}

impl TraceParent {
    /// The remote span context that this header and a `tracestate` stand for.
    #[must_use]
    pub fn into_span_context(self, trace_state: TraceState) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, trace_state)
    }
}

/// Parses one header value.
///
/// A version later than 00 is read as the specification says: by its first 55 bytes, with
/// whatever follows after a dash ignored.
///
/// # Errors
///
/// The first thing that is wrong with it, from the left.
#[inline]
pub fn parse(value: &[u8]) -> Result<TraceParent, Malformed> {
    // Nothing of the right length has white space around it.
    let value = if value.len() == LENGTH { value } else { trim(value) };
    let Some((head, tail)) = value.split_first_chunk::<LENGTH>() else {
        return Err(Malformed::Length);
    };
    let is_later = head[..2] != *b"00";
    if is_later && byte([head[0], head[1]]).is_none_or(|version| version == 0xff) {
        return Err(Malformed::Version);
    }
    if !tail.is_empty() && (!is_later || tail[0] != b'-') {
        return Err(Malformed::Length);
    }
    if head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
        return Err(Malformed::Delimiter);
    }
    let trace_id = hex::<16>(&head[3..35]).filter(|id| *id != 0).ok_or(Malformed::TraceId)?;
    let span_id = hex::<8>(&head[36..52]).filter(|id| *id != 0).ok_or(Malformed::SpanId)?;
    let flags = match [head[53], head[54]] {
        // As nearly all senders have it, which spares taking it apart.
        [b'0', low @ b'0'..=b'3'] => low - b'0',
        digits => byte(digits).ok_or(Malformed::Flags)?,
    };
    Ok(TraceParent {
        trace_id: TraceId::from(trace_id),
        span_id: SpanId::from(span_id as u64),
        flags: TraceFlags::new(flags & KNOWN_FLAGS),
    })
}

/// Prints the header for a valid span context, always as version 00.
///
/// ```
/// use throughline_core::codec::traceparent::{parse, print};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let header = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = parse(header)?.into_span_context(Default::default());
/// assert_eq!(print(&context).as_str().as_bytes(), header);
/// # Ok(()) }
/// ```
#[must_use]
pub fn print(context: &SpanContext) -> Printed {
    print_as(context, context.span_id(), 0)
}

/// The same, with another span of that trace, and with `more` flags.
#[inline]
pub(crate) fn print_as(context: &SpanContext, span: SpanId, more: u8) -> Printed {
    let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
    put(&mut out[3..35], &context.trace_id().to_bytes());
    put(&mut out[36..52], &span.to_bytes());
    out[54] += (context.trace_flags().to_u8() | more) & KNOWN_FLAGS;
    Printed(out)
}

/// A printed `traceparent`, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed([u8; LENGTH]);

impl Printed {
    /// The header value.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits and dashes: never not UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
