//! The demo as its users run it: real processes, real sockets, and what it says of them.

#![allow(clippy::expect_used, clippy::panic)]

// Elsewhere a machine has but one address to itself.
#[cfg(target_os = "linux")]
mod addresses;
mod drain;
mod harness;
mod kafka;
mod orders;
#[cfg(target_os = "linux")]
mod processes;
mod proto;
mod secrets;
mod service;
mod sqs;
mod surroundings;
mod verdicts;
