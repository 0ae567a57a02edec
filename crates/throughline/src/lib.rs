//! Keeps a distributed trace in one piece across every boundary a Rust service has.
//!
//! The Context Law: every boundary **extracts** the context from what comes in, **processes** in
//! it, and **injects** it into what goes out. A layer on the router, a middleware in the client and
//! `task::spawn` instead of `tokio::spawn` make it hold; no call site can forget.
//!
#![cfg_attr(
    all(feature = "axum", feature = "reqwest", feature = "task", feature = "telemetry"),
    doc = "```no_run"
)]
#![cfg_attr(
    not(all(feature = "axum", feature = "reqwest", feature = "task", feature = "telemetry")),
    doc = "```ignore"
)]
//! use axum::{Router, extract::State, http::StatusCode, routing::post};
//! use reqwest_middleware::ClientWithMiddleware;
//! use throughline::{axum::ServerLayer, boundary, reqwest::ClientMiddleware, task};
//!
//! async fn place_order(State(http): State<ClientWithMiddleware>) -> StatusCode {
//!     boundary().set_attribute("order.id", 42);
//!     task::spawn(async { /* in the trace, though nobody waits for it */ });
//!     match http.post("http://orders.internal:8080/orders").send().await {
//!         Ok(answer) => answer.status(),
//!         Err(error) => {
//!             boundary().fail(&error);
//!             StatusCode::BAD_GATEWAY
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let _telemetry = throughline::telemetry::init("gateway")?;
//! let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
//!     .with(ClientMiddleware::new())
//!     .build();
//! let app: Router = Router::new()
//!     .route("/orders", post(place_order))
//!     .with_state(http)
//!     .layer(ServerLayer::new());
//! # let _ = app;
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! None is on by default; each is one module.
//!
//! | feature | module | for |
//! |---|---|---|
//! | `axum` | `axum` (and `tower`) | axum routers |
//! | `tonic` | `tonic` (and `tower`) | gRPC servers and clients |
//! | `tower` | `tower` | any tower service of HTTP, and any tower client |
//! | `reqwest` | `reqwest` | reqwest clients, through `reqwest-middleware` |
//! | `kafka` | `kafka` | Kafka producers and consumers, through `rdkafka` |
//! | `sqs` | `sqs` | Amazon SQS, through an interceptor on `aws-sdk-sqs`, and queues that are read |
//! | `sns` | `sqs` | publishing to Amazon SNS, too |
//! | `sqs-lambda` | `sqs` | events of AWS Lambda, too |
//! | `task` | `task` | spawned tasks, blocking work, jobs |
//! | `telemetry` | `telemetry` | start-up: exporter, resource, sampling, logs, shutdown |
//! | `tls` | | HTTPS to the collector, with `telemetry` |
//! | `lineage` | `lineage` | trees and verdicts from received spans |
//!
//! Assertions for tests are in the crate `throughline-testing`, a dev-dependency.
#![forbid(unsafe_code)]

/// OpenTelemetry's API, in the version that is used here. Depend on it through this, and there
/// will never be two.
pub use opentelemetry;
/// The law itself: for those who write a boundary.
pub use throughline_core as core;
pub use throughline_core::{
    Boundary, Failure, Outcomes, Propagate, Trust, W3cPropagator, baggage, boundary, outcomes,
    semconv, set_tracer_provider,
};

#[cfg(feature = "axum")]
#[doc(inline)]
pub use throughline_axum as axum;
#[cfg(feature = "kafka")]
#[doc(inline)]
pub use throughline_kafka as kafka;
#[cfg(feature = "lineage")]
#[doc(inline)]
pub use throughline_lineage as lineage;
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use throughline_reqwest as reqwest;
#[cfg(feature = "sqs")]
#[doc(inline)]
pub use throughline_sqs as sqs;
#[cfg(feature = "task")]
#[doc(inline)]
pub use throughline_task as task;
#[cfg(feature = "telemetry")]
#[doc(inline)]
pub use throughline_telemetry as telemetry;
#[cfg(feature = "tonic")]
#[doc(inline)]
pub use throughline_tonic as tonic;
#[cfg(feature = "tower")]
#[doc(inline)]
pub use throughline_tower as tower;

/// The extension traits that code around spans needs: `use throughline::prelude::*;`
///
/// They are OpenTelemetry's own, in the version that is used here: `context.span()`,
/// `context.baggage()`.
pub mod prelude {
    pub use opentelemetry::baggage::BaggageExt as _;
    pub use opentelemetry::trace::TraceContextExt as _;
}

/// The README's example, compiled.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "kafka",
    feature = "reqwest",
    feature = "sqs",
    feature = "task",
    feature = "telemetry"
))]
#[doc = include_str!("../../../README.md")]
mod readme {}

/// The example of the page on `tracing`, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tracing.md")]
mod tracing_page {}

/// The examples of the page on HTTP and gRPC, compiled.
#[cfg(all(doctest, feature = "axum", feature = "task"))]
#[doc = include_str!("../../../docs/http-and-grpc.md")]
mod http_and_grpc {}

/// The examples of the page on queues, compiled.
#[cfg(all(doctest, feature = "kafka", feature = "sqs"))]
#[doc = include_str!("../../../docs/queues.md")]
mod queues {}

/// The examples of the page on migration, compiled.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "kafka",
    feature = "reqwest",
    feature = "sqs",
    feature = "tonic"
))]
#[doc = include_str!("../../../docs/migrating.md")]
mod migrating {}

/// The examples of the page on lost contexts, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/lost-context.md")]
mod lost_context {}

/// The examples of the page on proxies, compiled.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../docs/proxies.md")]
mod proxies {}

/// The examples of the page on clippy's list, compiled.
#[cfg(all(doctest, feature = "task"))]
#[doc = include_str!("../../../docs/lint.md")]
mod lint {}
