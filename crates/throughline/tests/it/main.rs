//! The crates together, over real sockets: an order's trace is whole however its request dies.

#![allow(clippy::expect_used, clippy::panic)]

mod hop;
mod lives;
mod services;
mod upgrades;
