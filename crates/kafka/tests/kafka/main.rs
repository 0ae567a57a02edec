//! What a service sees of the Kafka boundary, on a cluster with real sockets.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod batch;
mod callback;
mod common;
mod creation;
mod drain;
mod failure;
mod hostile;
mod link;
mod membership;
mod metrics;
mod offsets;
mod policy;
mod positions;
mod producer;
mod runner;
mod unread;
