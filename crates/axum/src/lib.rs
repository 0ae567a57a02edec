//! Trace context across an axum router: one layer, and every request has its span, named after
//! its route.
//!
//! ```
//! use axum::{Router, extract::Path, routing::get};
//! use throughline_axum::ServerLayer;
//!
//! async fn user(Path(id): Path<u64>) -> String {
//!     throughline_core::boundary().set_attribute("user.id", id as i64);
//!     format!("user {id}")
//! }
//!
//! let app: Router = Router::new()
//!     .route("/users/{id}", get(user))
//!     // Last, so that it covers every route: axum wraps those that are there when it is called.
//!     .layer(ServerLayer::new());
//! ```
//!
//! At a public edge callers don't get to continue their traces; on an internal port a caller
//! without a trace is a break:
//!
//! ```
//! # use throughline_axum::ServerLayer;
//! let public = ServerLayer::public_edge();
//! let internal = ServerLayer::new().expect_parent(true);
//! ```
//!
//! A handler may ask for [`TraceIds`], [`RequestSpan`] and [`RequestBaggage`] among its arguments; an
//! error that becomes a response says why by a [`Failure`] among the response's extensions.
//!
//! Routers nested with `nest` need nothing. Inside `nest_service`, axum tells the full route only
//! to layers of the inner router: give that router a layer, too. It finds the span of the outer
//! one and names it; there is still one span. How a span ends is told in `throughline-tower`,
//! which does the work.
//!
//! With [`into_make_service_with_connect_info::<SocketAddr>`][connect], the span also has the
//! address of the caller.
//!
//! [connect]: axum::Router::into_make_service_with_connect_info
#![forbid(unsafe_code)]

mod extractors;
mod process;

pub use throughline_tower::{
    Boundary, Failure, HttpServerLayer, HttpServerService, RequestInfo, ResponseBody,
    ResponseFuture, ResponseInfo, Trust, boundary,
};

pub use extractors::{RequestBaggage, RequestSpan, TraceIds};
pub use process::{Axum, ServerLayer};
