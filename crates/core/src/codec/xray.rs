//! The [tracing header of AWS X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader),
//! `x-amzn-trace-id`, and the system attribute `AWSTraceHeader` of SQS.

use opentelemetry::trace::{SpanContext, SpanId, TraceId, TraceState};

use super::b3::decision;
use super::hex::{hex, put};
use super::{Malformed, Sampling, ids, trim};

/// The most bytes of a lineage that is kept.
pub const MAX_LINEAGE: usize = 255;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XRay<'a> {
    /// The caller's span; `None` where a load balancer sent a `Root` and no `Parent`.
    pub ids: Option<(TraceId, SpanId)>,
    /// The decision; deferred by `?`, too.
    pub sampling: Sampling,
    /// The `Lineage` by which AWS finds loops. It means nothing here, and goes on as it came.
    pub lineage: Option<&'a str>,
}

impl XRay<'_> {
    /// The remote span context it stands for, if it has one.
    #[must_use]
    pub fn span_context(&self) -> Option<SpanContext> {
        let (trace, span) = self.ids?;
        Some(SpanContext::new(trace, span, self.sampling.flags(), true, TraceState::NONE))
    }
}

/// Parses one header value: fields `Name=value` between semicolons, in any order.
///
/// `Root`, `Parent` and `Sampled` are read. `Self`, which a load balancer adds for itself, and the
/// fields of applications pass by.
///
/// # Errors
///
/// The first thing that is wrong with it, from the left.
pub fn parse(value: &[u8]) -> Result<XRay<'_>, Malformed> {
    let (mut root, mut parent, mut sampled, mut lineage) = (None, None, None, None);
    for field in value.split(|byte| *byte == b';').map(trim) {
        if field.is_empty() {
            continue;
        }
        let equals = field.iter().position(|byte| *byte == b'=').ok_or(Malformed::Delimiter)?;
        let (name, value) = (trim(&field[..equals]), trim(&field[equals + 1..]));
        let place = match name {
            b"Root" => &mut root,
            b"Parent" => &mut parent,
            b"Sampled" => &mut sampled,
            b"Lineage" => &mut lineage,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Malformed::Doubled);
        }
    }
    let sampling = match sampled {
        None | Some(b"?") => Sampling::Deferred,
        Some(b"0") => Sampling::Denied,
        Some(b"1") => Sampling::Accepted,
        Some(_) => return Err(Malformed::Flags),
    };
    let ids = match (root.map(trace_id).transpose()?, parent) {
        (Some(trace), Some(span)) => Some(ids(&trace, span)?),
        (None, Some(_)) => return Err(Malformed::TraceId),
        (_, None) => None,
    };
    Ok(XRay { ids, sampling, lineage: lineage.and_then(checked_lineage) })
}

/// The 32 digits of `1-{8 digits}-{24 digits}`.
fn trace_id(root: &[u8]) -> Result<[u8; 32], Malformed> {
    let Some(rest) = root.strip_prefix(b"1-") else { return Err(Malformed::Version) };
    if rest.len() != 33 {
        return Err(Malformed::Length);
    }
    if rest[8] != b'-' {
        return Err(Malformed::Delimiter);
    }
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(&rest[..8]);
    digits[8..].copy_from_slice(&rest[9..]);
    match hex::<16>(&digits) {
        Some(id) if id != 0 => Ok(digits),
        _ => Err(Malformed::TraceId),
    }
}

/// Only what can't end a field or a header.
fn checked_lineage(value: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'|' | b'.' | b'_' | b'-')
    };
    let is_valid = (1..=MAX_LINEAGE).contains(&value.len()) && value.iter().all(is_plain);
    std::str::from_utf8(value).ok().filter(|_| is_valid)
}

/// Prints the header for a valid span context.
///
/// `sampling` is the decision where the flags of the context can't tell it: a deferred one is left
/// out.
///
/// ```
/// use throughline_core::codec::xray::{parse, print};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
/// let context = parse(header.as_bytes())?.span_context().ok_or("no ids")?;
/// assert_eq!(print(&context, None, None), header);
/// # Ok(()) }
/// ```
#[must_use]
pub fn print(context: &SpanContext, sampling: Option<Sampling>, lineage: Option<&str>) -> String {
    let mut head = *b"Root=1-00000000-000000000000000000000000;Parent=0000000000000000";
    let trace = context.trace_id().to_bytes();
    put(&mut head[7..15], &trace[..4]);
    put(&mut head[16..40], &trace[4..]);
    put(&mut head[48..64], &context.span_id().to_bytes());
    let lineage = lineage.and_then(|lineage| checked_lineage(lineage.as_bytes()));
    let mut out = String::with_capacity(
        head.len() + 10 + lineage.map_or(0, |it| ";Lineage=".len() + it.len()),
    );
    // Hex digits and delimiters: never not UTF-8.
    out.push_str(std::str::from_utf8(&head).unwrap_or_default());
    out.push_str(match sampling.unwrap_or_else(|| decision(context)) {
        Sampling::Deferred => "",
        Sampling::Denied => ";Sampled=0",
        Sampling::Accepted | Sampling::Debug => ";Sampled=1",
    });
    if let Some(lineage) = lineage {
        out.push_str(";Lineage=");
        out.push_str(lineage);
    }
    out
}
