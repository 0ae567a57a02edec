//! One binary for all tests of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod battery;
#[cfg(feature = "embedded-collector")]
mod collector;
#[cfg(feature = "embedded-kafka")]
mod kafka;
mod metrics;
mod recorder;
mod scope;
#[cfg(feature = "embedded-sqs")]
mod sqs;
mod tree;
