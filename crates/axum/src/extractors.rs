//! What a handler may ask for among its arguments.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};
use throughline_core::{Boundary, baggage, boundary};

/// The ids of the trace that a request belongs to, for an error page or an answer that says where
/// to look; `Option<TraceIds>` where there may be none.
///
/// Of a request that isn't sampled, too: other services may have recorded theirs. All zero where
/// there is neither a layer nor a trace.
///
/// ```
/// use axum::http::StatusCode;
/// use throughline_axum::TraceIds;
///
/// async fn place_order(ids: TraceIds) -> (StatusCode, String) {
///     (StatusCode::INTERNAL_SERVER_ERROR, format!("tell us this number: {}", ids.trace_id))
/// }
/// # drop(place_order);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceIds {
    /// The id that the whole trace has in common.
    pub trace_id: TraceId,
    /// The id of the request's own span, or of its caller's where it has none.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
}

impl TraceIds {
    fn current() -> Self {
        let own = boundary().span_context();
        let of = |span: &SpanContext| TraceIds {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            is_sampled: span.is_sampled(),
        };
        match own {
            Some(own) => of(&own),
            None => Context::map_current(|current| of(current.span().span_context())),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for TraceIds {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(TraceIds::current())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for TraceIds {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Some(TraceIds::current()).filter(|ids| ids.trace_id != TraceId::INVALID))
    }
}

/// The handle of the request's span: what [`boundary`] gives, among the arguments of a handler.
///
/// ```
/// use throughline_axum::RequestSpan;
///
/// async fn place_order(RequestSpan(span): RequestSpan) {
///     span.set_attribute("order.id", 42);
/// }
/// # drop(place_order);
/// ```
#[derive(Clone, Debug)]
pub struct RequestSpan(pub Boundary);

impl<S: Sync> FromRequestParts<S> for RequestSpan {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(RequestSpan(boundary()))
    }
}

/// The baggage that came with a request, as far as its layer lets it in: keys and values, in no
/// order.
///
/// ```
/// use throughline_axum::RequestBaggage;
///
/// async fn place_order(baggage: RequestBaggage) -> String {
///     format!("for {}", baggage.get("tenant").unwrap_or("nobody"))
/// }
/// # drop(place_order);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestBaggage(pub Vec<(String, String)>);

impl RequestBaggage {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestBaggage {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(RequestBaggage(baggage::all()))
    }
}
