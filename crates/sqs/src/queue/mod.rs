//! A queue that is read: messages in, and what becomes of them.

mod calls;
mod client;
mod keeper;
mod lanes;
mod lease;
mod opened;
mod outcomes;
mod poll;
mod runner;
mod work;

pub use client::Queue;
pub(crate) use lease::Lease;
pub(crate) use poll::is_transient;
pub use runner::Runner;
