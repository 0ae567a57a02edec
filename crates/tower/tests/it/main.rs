//! The tests of the tower boundary that the shared battery doesn't know: bodies, layers, ends.

#![allow(clippy::expect_used, clippy::panic, clippy::let_underscore_must_use)]

mod bodies;
mod chains;
mod client;
mod config;
mod layers;
mod legacy;
mod limits;
mod metrics;
mod more;
mod shop;
mod spans;
mod wire;
