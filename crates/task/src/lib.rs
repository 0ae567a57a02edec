//! Every way to leave the current task, with the trace kept.
//!
//! `tokio::spawn` starts a task with an empty context: spans started in it are roots, and what it
//! sends carries no trace. These functions have tokio's names and signatures, and carry both
//! contexts that Rust services have: OpenTelemetry's and the `tracing` span.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tokio::task::JoinError> {
//! use throughline_task::{spawn, spawn_blocking, spawn_linked};
//!
//! let audit = spawn(async { "in the trace of the caller" });
//! let hash = spawn_blocking(|| "in the trace of the caller, too");
//! let report = spawn_linked("nightly report", async { "in a trace of its own, linked" });
//! audit.await?;
//! hash.await?;
//! report.await?;
//! # Ok(()) }
//! ```
//!
//! # Which one
//!
//! | the work | use |
//! |---|---|
//! | belongs to the request, even if it outlives it | [`spawn`] |
//! | is blocking | [`spawn_blocking`] |
//! | is a job of its own: long, periodic, or one that serves many requests | [`spawn_linked`] |
//! | is a future that somebody else runs: a `JoinSet`, another runtime | [`in_context`] |
//! | is a future that isn't there yet: what an upgraded socket is for | [`Here`] |
#![forbid(unsafe_code)]

mod spawn;

pub use spawn::{Here, in_context, spawn, spawn_blocking, spawn_linked};
