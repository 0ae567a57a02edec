//! Tests that see whole traces: a recorder, assertions on trees, the conformance battery for
//! boundaries, and embedded parts.
//!
//! # Record and assert
//!
//! A [`Recorder`] keeps the spans of one test and nothing global, so tests run side by side. Hand
//! its [`provider`](Recorder::provider) to a boundary, let a message through, and say what should
//! be there:
//!
//! ```
//! use opentelemetry::trace::SpanKind;
//! use throughline_core::{Config, Description, End};
//! use throughline_testing::Recorder;
//!
//! let recorder = Recorder::new();
//! let config = Config::new("my-protocol", "1.0.0").with_tracer_provider(&recorder.provider());
//!
//! // Nobody sent a context along.
//! let none: Vec<(String, String)> = Vec::new();
//! let mut order = config.receive(config.extract(&none), SpanKind::Server, || {
//!     Description::new("POST /orders", 1)
//! });
//! order.enter(|| {
//!     let call = config.send(SpanKind::Client, || Description::new("POST", 1));
//!     call.end(End::failed("503"));
//! });
//! order.end(End::Completed);
//!
//! recorder.assert_all_ended();
//! recorder.assert_no_orphans();
//! recorder.assert_tree(
//!     "
//!     SERVER POST /orders
//!       CLIENT POST !error {error.type=503}
//!     ",
//! );
//! ```
//!
//! What a boundary wasn't told to expect can't be missed: give those inside of a system
//! [`expect_parent(true)`](throughline_core::Config::expect_parent), and
//! [`assert_no_orphans`](Recorder::assert_no_orphans) finds the caller, or producer, that sends no
//! context. Consumers of queues fetch and settle messages in traces of their own;
//! [`assert_tree_without_housekeeping`](Recorder::assert_tree_without_housekeeping) leaves those out.
//!
//! How a tree is written is told in [`tree`]. Every `assert_…` has a `check_…` beside it that
//! returns an error and doesn't panic. Code that uses OpenTelemetry's global provider runs in
//! [`Recorder::scope`].
//!
//! What is measured is read from [`Measurements`].
//!
//! # Conform
//!
//! [`battery`] asks of a boundary all that the Context Law asks of it. Each boundary crate runs it
//! in its `tests/conformance.rs`.
//!
//! # Embedded parts
//!
//! | feature | part |
//! |---|---|
//! | `embedded-collector` | `embedded::Collector`, an OTLP/HTTP receiver on a real socket |
//! | `embedded-kafka` | `embedded::Kafka`, a Kafka cluster on real sockets; builds librdkafka, which needs a C compiler |
//! | `embedded-sqs` | `embedded::Sqs`, SQS on a real socket, with the limits that AWS documents |
#![forbid(unsafe_code)]

mod assertions;
pub mod battery;
mod convert;
#[cfg(any(feature = "embedded-collector", feature = "embedded-kafka", feature = "embedded-sqs"))]
pub mod embedded;
mod measurements;
mod recorder;
pub mod tree;
mod wait;

pub use assertions::Failure;
pub use measurements::Measurements;
pub use recorder::{Provider, RecordedSpan, RecordedTracer, Recorder};
pub use throughline_lineage as lineage;
pub use wait::TimedOut;
