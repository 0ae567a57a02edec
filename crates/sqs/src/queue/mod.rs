//! A queue that is read: messages in, and what becomes of them.

mod calls;
mod client;
mod denied;
mod drain;
mod due;
mod keeper;
mod lanes;
mod lease;
mod opened;
mod outcomes;
mod poll;
mod runner;
mod undeleted;
mod work;

pub use client::Queue;
pub(crate) use lease::Lease;
pub(crate) use poll::is_transient;
pub use runner::Runner;
