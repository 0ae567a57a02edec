//! The formats a context travels in.

use http::HeaderName;

pub(super) const B3: HeaderName = HeaderName::from_static("b3");
pub(super) const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
pub(super) const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
pub(super) const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
pub(super) const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
pub(super) const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
pub(super) const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A format that a context travels in, named as in `OTEL_PROPAGATORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// W3C Trace Context, level 2: `tracecontext`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// Zipkin's B3, of which the single header is sent and both are understood: `b3`.
    B3,
    /// Zipkin's B3, of which the several headers are sent and both are understood: `b3multi`.
    B3Multi,
    /// AWS X-Ray: `xray`.
    XRay,
}

impl Format {
    pub(super) const ALL: [Format; 5] =
        [Format::TraceContext, Format::Baggage, Format::B3, Format::B3Multi, Format::XRay];

    /// The name in `OTEL_PROPAGATORS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::TraceContext => "tracecontext",
            Format::Baggage => "baggage",
            Format::B3 => "b3",
            Format::B3Multi => "b3multi",
            Format::XRay => "xray",
        }
    }

    /// The format of this name, in whatever case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Format::TraceContext => &["traceparent", "tracestate"],
            Format::Baggage => &["baggage"],
            Format::B3 => &["b3"],
            Format::B3Multi => {
                &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"]
            }
            Format::XRay => &["x-amzn-trace-id"],
        }
    }
}
