//! The tests of the core, in one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::let_underscore_must_use)]

mod baggage;
mod http;
mod propagation;
mod span;
mod traceparent;
mod tracestate;
