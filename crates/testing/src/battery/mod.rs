//! The conformance battery: what the Context Law asks of a boundary, case by case.
//!
//! A boundary crate says in its `tests/conformance.rs` how one message goes through it, by
//! [`Inbound`], [`Outbound`] or both, and runs the battery. A whole boundary, and its test:
//!
//! ```
//! use opentelemetry::trace::SpanKind;
//! use throughline_core::{Config, Description, End};
//! use throughline_testing::battery::{self, Handler, Headers, Inbound, Setup};
//!
//! /// A protocol whose messages are headers.
//! async fn process(config: &Config, headers: Headers, handler: Handler) {
//!     let extraction = config.extract(&headers);
//!     let span = config.receive(extraction, SpanKind::Consumer, || Description::new("process", 2));
//!     let (result, span) = span.process(handler.run()).await;
//!     span.end(match result {
//!         Ok(()) => End::Completed,
//!         Err(_) => End::failed("handler"),
//!     });
//! }
//!
//! struct Driver;
//!
//! impl Inbound for Driver {
//!     type Boundary = Config;
//!     const KIND: SpanKind = SpanKind::Consumer;
//!     // Nothing here is built from layers.
//!     const LAYERED: bool = false;
//!
//!     async fn boundary(&self, setup: Setup) -> Config {
//!         setup.configure(Config::new("my-protocol", "1.0.0"))
//!     }
//!
//!     async fn deliver(&self, config: &Config, headers: Headers, handler: Handler) {
//!         process(config, headers, handler).await;
//!     }
//! }
//!
//! # #[tokio::main(worker_threads = 2)]
//! # async fn main() {
//! // In a `#[tokio::test(flavor = "multi_thread")]`.
//! battery::inbound(Driver).await.assert();
//! # }
//! ```
//!
//! Each case has a recorder of its own and nothing is global, so batteries run side by side.

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

mod checks;
mod foreign;
mod headers;
mod inbound;
mod outbound;
mod parts;
mod report;

pub use foreign::Foreign;
pub use headers::Headers;
pub use inbound::{Inbound, inbound};
pub use outbound::{Outbound, outbound};
pub use parts::{Failed, Handler, Peer, Setup};
pub use report::{Case, NotConforming, Report};

/// How a case ends: well, or with what is wrong.
type Outcome = Result<(), String>;
