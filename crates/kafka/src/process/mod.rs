//! The life of a message that is processed.

mod delivery;
mod keep;
mod message;
mod owned;
mod span;

pub use delivery::Delivery;
pub use message::{Message, OwnedMessage};
pub use owned::OwnedDelivery;

pub(crate) use keep::{Source, poll_once};
pub(crate) use span::{Pending, extract, start};
