//! A queue that is read, on the embedded SQS, or on a real one:
//! `integration-tests/native/stack run --only sqs -- cargo test -p throughline-sqs --test queue`.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "tests hold tasks of their own")]

mod common;
mod conformance;
mod drain;
mod dropped;
mod failure;
mod fifo;
mod hold;
#[cfg(feature = "lambda")]
mod lambda;
mod law;
#[cfg(feature = "lambda")]
#[path = "../log/mod.rs"]
mod log;
mod process;
mod rights;
mod runner;
