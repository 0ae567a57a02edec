//! A service with the layers of tower-http and ours around it, in an order that is given.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use futures_util::{StreamExt, stream};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{info_span, instrument};

use crate::parts::Parts;

/// Of the caller, and of the answer: a program may want to hide either.
pub(super) const CUSTOMER: HeaderName = HeaderName::from_static("x-customer");
pub(super) const WAREHOUSE: HeaderName = HeaderName::from_static("x-warehouse");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Ours is axum's `ServerLayer`; `RequestId` are the two that set and propagate it, next to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layer {
    Ours,
    Trace,
    Timeout,
    Compression,
    CatchPanic,
    RequestId,
    Sensitive,
}

pub(super) const THEIRS: [Layer; 6] = [
    Layer::Trace,
    Layer::Timeout,
    Layer::Compression,
    Layer::CatchPanic,
    Layer::RequestId,
    Layer::Sensitive,
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Case {
    Ok,
    Streamed,
    Panic,
    Slow,
    Failed,
    Unread,
    /// Its body panics on the way.
    Torn,
}

pub(super) const CASES: [Case; 7] =
    [Case::Ok, Case::Streamed, Case::Panic, Case::Slow, Case::Failed, Case::Unread, Case::Torn];

impl Case {
    pub(super) fn path(self) -> &'static str {
        match self {
            Case::Ok => "/ok",
            Case::Streamed => "/streamed",
            Case::Panic => "/panic",
            Case::Slow => "/slow",
            Case::Failed => "/failed",
            Case::Unread => "/unread",
            Case::Torn => "/torn",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct One;

impl MakeRequestId for One {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        Some(RequestId::new(HeaderValue::from_static("one")))
    }
}

#[instrument]
async fn reserve() {}

#[instrument(name = "reserve")]
async fn reserve_for_ever() {
    pending().await
}

/// Long enough to be worth compressing.
const PART: &str = "a teapot, a kettle, and a cup for each of them ";

/// Something is done for each part of the body, when it is sent.
fn packed(part: &'static str) -> Result<&'static str, Infallible> {
    let _pack = info_span!("pack").entered();
    Ok(part)
}

pub(super) fn routes() -> Router {
    let ok = async || {
        reserve().await;
        ([(WAREHOUSE, "south")], PART)
    };
    let streamed = async || {
        reserve().await;
        Body::from_stream(stream::iter([PART, PART]).map(packed))
    };
    let panicking = async || -> StatusCode {
        reserve().await;
        panic!("out of paper")
    };
    let failed = async || {
        reserve().await;
        (StatusCode::SERVICE_UNAVAILABLE, PART).into_response()
    };
    let unread = async || {
        reserve().await;
        Body::from_stream(stream::iter([PART]).map(Ok::<_, Infallible>).chain(stream::pending()))
    };
    let torn = async || {
        reserve().await;
        let panics = stream::once(async { panic!("out of ink") });
        Body::from_stream(stream::iter([PART]).map(Ok::<_, Infallible>).chain(panics))
    };
    Router::new()
        .route(Case::Ok.path(), on_get(ok))
        .route(Case::Streamed.path(), on_get(streamed))
        .route(Case::Panic.path(), on_get(panicking))
        .route(Case::Slow.path(), on_get(reserve_for_ever))
        .route(Case::Failed.path(), on_get(failed))
        .route(Case::Unread.path(), on_get(unread))
        .route(Case::Torn.path(), on_get(torn))
}

/// The layers around the routes, outermost first.
pub(super) fn stack(parts: &Parts, order: &[Layer], case: Case) -> Router {
    let timeout = Duration::from_millis(if case == Case::Slow { 1 } else { 60_000 });
    order.iter().rev().fold(routes(), |app, layer| match layer {
        Layer::Ours => app.layer(
            parts
                .layer()
                .capture_request_headers([REQUEST_ID, CUSTOMER])
                .capture_response_headers([REQUEST_ID, WAREHOUSE, CONTENT_ENCODING]),
        ),
        Layer::Trace => app.layer(TraceLayer::new_for_http()),
        Layer::Timeout => {
            app.layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout))
        }
        Layer::Compression => app.layer(CompressionLayer::new()),
        Layer::CatchPanic => app.layer(CatchPanicLayer::new()),
        Layer::RequestId => app
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(SetRequestIdLayer::x_request_id(One)),
        Layer::Sensitive => app.layer(SetSensitiveHeadersLayer::new([CUSTOMER, WAREHOUSE])),
    })
}

/// Where a layer stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Inside,
    Outside,
    Nowhere,
}

pub(super) fn side(order: &[Layer], layer: Layer) -> Side {
    let place = |layer| order.iter().position(|other| *other == layer);
    match (place(layer), place(Layer::Ours)) {
        (Some(place), Some(ours)) if place > ours => Side::Inside,
        (Some(_), _) => Side::Outside,
        (None, _) => Side::Nowhere,
    }
}
