//! The ledger's producers and consumers of Kafka.

mod consume;
mod hold;
mod produce;

pub use consume::{Consume, Protocol, consume};
pub use hold::{Hold, hold};
pub use produce::{Produce, produce};

/// How many keys messages have.
pub(in crate::ledger) const KEYS: u64 = 97;
