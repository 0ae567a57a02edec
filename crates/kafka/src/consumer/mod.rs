//! Where messages come from.

mod batches;
mod begins;
mod client;
mod context;
mod drain;
mod hooks;
mod lanes;
mod offsets;
mod options;
mod plan;
mod policy;
mod positions;
mod receive;
mod runner;
mod settle;
mod source;
mod state;
mod unread;

pub use batches::BatchRunner;
pub use client::{Closer, StreamConsumer};
pub use context::HookedContext;
pub use hooks::{DefaultHooks, Hooks, Rebalance, TopicPartition};
pub use policy::{DeadLetter, OnFailure};
pub use runner::Runner;
pub use state::Counts;

pub(crate) use offsets::Ticket;
pub(crate) use state::State;

/// Who stores the offsets of a [`StreamConsumer`]; a part of its type.
pub mod offsets_of {
    /// The consumer: a record is acknowledged when its handler has succeeded, and in no other way.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Ours;

    /// The service: for offsets that are kept in a transaction, or beside the data. The consumer
    /// never touches them.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Theirs;
}
