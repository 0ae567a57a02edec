//! What a service sees of the SQS boundary: of the interceptor on a client that talks to a stub, and to a
//! queue: of the embedded SQS, or of a real one that `SQS_ENDPOINT` names.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod batch;
mod budget;
mod common;
mod extract;
mod metrics;
mod queue;
mod receive;
mod send;
mod settle;
#[cfg(feature = "sns")]
mod sns;
mod stub;
