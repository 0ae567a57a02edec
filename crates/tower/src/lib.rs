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
//! Clients have a layer, too: hyper-util's, a proxy's, whatever takes a request of HTTP.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http::{Request, Response};
//! # use http_body_util::Empty;
//! # use tower::service_fn;
//! use throughline_tower::ClientLayer;
//! use tower::ServiceBuilder;
//!
//! # let client = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new())));
//! let client = ServiceBuilder::new().layer(ClientLayer::new()).service(client);
//! # let _ = client;
//! ```
//!
//! # The end of the span
//!
//! Of a server:
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
//! Of a client: the same with statuses from 400 on, and with the head of the response, unless
//! [`end_with_body`](ClientLayer::end_with_body) says otherwise.
//!
//! A call of gRPC, which either layer tells by its `content-type`, ends with the status in its
//! trailers; `throughline-tonic` says how.
//!
//! A response without a body (`HEAD`, 1xx, 204, 304, or a body that is empty) ends with its head.
//!
//! # One span for one request
//!
//! A layer that finds a span already started for its request starts none. It gives the span the
//! name of the route, where it knows one and the first layer didn't.
#![forbid(unsafe_code)]

mod extract;
mod inject;
mod process;

pub use throughline_core::http::UrlTemplate;
pub use throughline_core::{Boundary, Failure, Propagate, Trust, boundary};

pub use process::{
    ClientLayer, ClientService, Framework, HttpServerLayer, HttpServerService, NoFramework,
    RequestInfo, ResponseBody, ResponseFuture, ResponseInfo, ServerLayer,
};
