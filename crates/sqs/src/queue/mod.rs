//! A queue that is read: messages in, and what becomes of them.

mod calls;
mod client;
mod keeper;
mod lanes;
mod lease;
mod outcomes;
mod runner;
mod work;

pub use client::Queue;
pub(crate) use client::is_transient;
pub(crate) use lease::Lease;
pub use runner::Runner;
