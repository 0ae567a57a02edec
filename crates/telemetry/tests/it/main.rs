//! Telemetry against a real socket. What is global to a process (the subscriber, the
//! environment) runs in a child: this binary again, with one of the ignored tests of `child`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's exception for tests leaves out their helpers"
)]

mod child;
mod env;
mod export;
mod logs;
mod own_registry;
mod sink;
mod start;
