//! Trace context across any tower service for HTTP: extracted before the handler, current through
//! it and through the body of its response, in one span that ends exactly once.
//!
//! ```
//! # use std::convert::Infallible;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use throughline_tower::ServerLayer;
//! use tower::{ServiceBuilder, service_fn};
//!
//! async fn handle(_: Request<Full<&'static [u8]>>) -> Result<Response<Full<&'static [u8]>>, Infallible> {
//!     throughline_core::boundary().set_attribute("order.id", 42);
//!     Ok(Response::new(Full::new(b"ordered")))
//! }
//!
//! let service = ServiceBuilder::new().layer(ServerLayer::new()).service(service_fn(handle));
//! # let _ = service;
//! ```
//!
//! At a public edge, callers don't get to continue their traces, nor to decide what is sampled:
//!
//! ```
//! # use throughline_tower::ServerLayer;
//! let layer = ServerLayer::public_edge();
//! ```
//!
//! # The end of the span
//!
//! | what happens | status | `error.type` |
//! |---|---|---|
//! | the body ends, status below 500 | unset | |
//! | the body ends, status 500 or above | Error | the status code |
//! | the service returns an error | Error | its type |
//! | the body fails | Error | the type of its error |
//! | the handler, or the body, panics | Error | `panic` |
//! | the request or its body is dropped: the caller is gone | unset | `cancelled` |
//!
//! A response without a body (`HEAD`, 1xx, 204, 304, or a body that is empty) ends with its head.
//!
//! # One span for one request
//!
//! A layer that finds a span already started for its request starts none. It gives the span the
//! name of the route, where it knows one and the first layer didn't.
#![forbid(unsafe_code)]

mod extract;
mod process;

pub use throughline_core::{Boundary, Trust, boundary};

pub use process::{
    Framework, HttpServerLayer, HttpServerService, NoFramework, RequestInfo, ResponseBody,
    ResponseFuture, ServerLayer,
};
