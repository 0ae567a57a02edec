//! The tests of the reqwest boundary that the shared battery doesn't know: what a span tells of a
//! request on a real socket, and what goes over that socket.

#![allow(clippy::expect_used, clippy::panic)]

mod attributes;
mod bodies;
mod ends;
mod headers;
mod propagate;
mod server;
mod uploads;
