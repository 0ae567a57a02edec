//! Others on the other side, and in between: curl, grpcio with OpenTelemetry's own instrumentation,
//! nginx and Envoy. Whole trees are judged, of what ours recorded and what the others exported.
//!
//! `native/stack run --only nginx,envoy,grpcio -- cargo test -p integration-tests --test peers`
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod curl;
mod edge;
mod envoy;
mod greeter;
mod grpcio;
mod nginx;
mod process;
mod rig;
