//! The demo as its users run it: real processes, real sockets, and what it says of them.

#![allow(clippy::expect_used, clippy::panic)]

mod harness;
mod orders;
#[cfg(target_os = "linux")]
mod processes;
mod surroundings;
mod verdicts;
