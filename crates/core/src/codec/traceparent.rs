//! The `traceparent` header of [W3C Trace Context level 2](https://www.w3.org/TR/trace-context-2/#traceparent-header).

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::trim;

/// The length of a version 00 header, and the least of any later version.
pub const LENGTH: usize = 55;

/// The flags that level 2 defines, sampled and random; the others are reserved and sent as zero.
const KNOWN_FLAGS: u8 = 0b11;

const ONES: u64 = 0x0101_0101_0101_0101;

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

/// Why a `traceparent` is refused. The trace restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The header came more than once: no one can say which of them holds.
    #[error("more than one traceparent")]
    Doubled,
    /// Too short, too long for version 00, or a later version whose tail has no dash before it.
    #[error("a traceparent of the wrong length")]
    Length,
    /// The version isn't two lower-case hex digits, or is the forbidden `ff`.
    #[error("a traceparent of an invalid version")]
    Version,
    /// The dashes are not where they belong.
    #[error("a traceparent without its dashes")]
    Delimiter,
    /// The trace id isn't lower-case hex, or is all zeroes.
    #[error("a traceparent with an invalid trace id")]
    TraceId,
    /// The span id isn't lower-case hex, or is all zeroes.
    #[error("a traceparent with an invalid span id")]
    SpanId,
    /// The flags aren't two lower-case hex digits.
    #[error("a traceparent with invalid flags")]
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
    let value = trim(value);
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
    let flags = byte([head[53], head[54]]).ok_or(Malformed::Flags)?;
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
    let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
    put(&mut out[3..35], &context.trace_id().to_bytes());
    put(&mut out[36..52], &context.span_id().to_bytes());
    out[54] += context.trace_flags().to_u8() & KNOWN_FLAGS;
    Printed(out)
}

/// A printed `traceparent`, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed([u8; LENGTH]);

impl Printed {
    /// The header value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits and dashes: never not UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// `N` bytes from `2 * N` lower-case hex digits, eight digits at a time.
// Always, since a call would hand 16 bytes back through memory.
#[inline(always)]
fn hex<const N: usize>(digits: &[u8]) -> Option<u128> {
    debug_assert_eq!(digits.len(), 2 * N);
    // Looked at all together, which is less than stopping at the first that is wrong.
    let mut all = true;
    for digit in digits {
        all &= digit.is_ascii_digit() | matches!(digit, b'a'..=b'f');
    }
    if !all {
        return None;
    }
    let mut value = 0;
    for eight in digits.as_chunks::<8>().0 {
        value = value << 32 | u128::from(eight_digits(u64::from_le_bytes(*eight)));
    }
    Some(value)
}

/// Two lower-case hex digits.
#[inline]
fn byte(digits: [u8; 2]) -> Option<u8> {
    let value = |digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(value(digits[0])? << 4 | value(digits[1])?)
}

/// The value of eight lower-case hex digits, the first in the lowest byte.
#[inline]
fn eight_digits(digits: u64) -> u32 {
    // Bytes never carry into each other: nine more than the low half of a letter is its value.
    let letter = (digits >> 6) & ONES;
    let nibble = (digits & (ONES * 0x0f)) + letter * 9;
    // Each product puts what is below to the left of what is above it: two digits become one
    // number, then four, then all eight.
    let pairs = (nibble.wrapping_mul(0x1001) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(0x0100_0001) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(0x0001_0000_0000_0001) >> 32) as u32
}

/// The way back: eight lower-case hex digits, the first in the lowest byte.
#[inline]
fn print_eight_digits(value: u32) -> u64 {
    let pairs = u64::from(value.swap_bytes());
    let pairs = (pairs | (pairs << 16)) & 0x0000_ffff_0000_ffff;
    let pairs = (pairs | (pairs << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibble = ((pairs >> 4) | (pairs << 8)) & (ONES * 0x0f);
    let above_nine = ((nibble + ONES * 6) >> 4) & ONES;
    nibble + ONES * 0x30 + above_nine * 0x27
}

/// Prints `bytes` in hex, eight digits at a time.
#[inline]
fn put(out: &mut [u8], bytes: &[u8]) {
    for (eight, four) in out.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *eight = print_eight_digits(u32::from_be_bytes(*four)).to_le_bytes();
    }
}
