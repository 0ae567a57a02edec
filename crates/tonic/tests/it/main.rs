//! Calls of every kind, between a tonic server and a tonic client, over a socket.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod calls;
mod echo;
mod ends;
mod rig;
mod wire;
