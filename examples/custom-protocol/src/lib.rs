//! A boundary for a protocol of one's own, in three small files: `extract.rs`, `process.rs` and
//! `inject.rs`. Everything else here is the protocol itself: frames with a length in front, over
//! TCP, one request and one answer a connection.
//!
//! `docs/the-context-law.md` tells the steps; `tests/conformance.rs` runs the battery.
#![forbid(unsafe_code)]

mod extract;
mod frame;
mod inject;
mod process;

pub use frame::{Frame, FrameError, Header};
pub use process::{CallError, Client, Server};

/// The examples of the page on the law, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/the-context-law.md")]
mod page {}
