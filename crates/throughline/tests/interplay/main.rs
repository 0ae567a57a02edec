//! The crates beside `tracing`: through a real router, with the layers of `telemetry`. The rows of
//! docs/tracing.md stand on these tests.

#![allow(clippy::expect_used, clippy::panic)]

mod activation;
mod idioms;
mod logs;
mod nesting;
mod parts;
mod tower_http;
mod trace_layer;
