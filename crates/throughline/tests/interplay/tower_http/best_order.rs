use std::any::Any;
use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use throughline::axum::ServerLayer;
use throughline::boundary;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::{
    SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer,
};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

const CUSTOMER: HeaderName = HeaderName::from_static("x-customer");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost first, as a request meets them.
fn layered(routes: Router, ours: ServerLayer, timeout: Duration) -> Router {
    routes.layer(
        ServiceBuilder::new()
            // What the request is given before its span starts, the span can tell.
            .layer(SetSensitiveRequestHeadersLayer::new([CUSTOMER]))
            .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
            .layer(ours.capture_request_headers([REQUEST_ID, CUSTOMER]))
            // What is done in here, lines of the log included, is of the request's trace, and what is
            // answered in here is told.
            .layer(TraceLayer::new_for_http())
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(SetSensitiveResponseHeadersLayer::new([CUSTOMER]))
            .layer(CompressionLayer::new())
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout)),
    )
}

/// The answer to a request whose handler has panicked; its span says why.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast::<String>().ok().map(|text| *text));
    boundary().fail(&Panic(text.unwrap_or_default()));
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[derive(Debug)]
struct Panic(String);

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler panicked: {}", self.0)
    }
}

impl std::error::Error for Panic {}
