//! The tests of the core, in one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::let_underscore_must_use)]

mod b3;
mod baggage;
mod carrier;
mod creation;
mod env;
mod fail;
mod foreign;
mod formats;
mod grammar;
mod hostile;
mod http;
mod propagation;
mod record_only;
mod span;
mod states;
mod traceparent;
mod tracestate;
mod user_baggage;
mod xray;
