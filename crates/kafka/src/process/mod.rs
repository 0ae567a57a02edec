//! The life of a message that is processed.

mod batch;
mod batch_span;
mod delivery;
mod keep;
mod message;
mod owned;
mod owned_batch;
mod pending;
mod span;

pub use batch::Batch;
pub use delivery::Delivery;
pub use message::{Message, OwnedMessage};
pub use owned::OwnedDelivery;
pub use owned_batch::OwnedBatch;

pub(crate) use keep::{Source, poll_once};
pub(crate) use pending::{Pending, PendingBatch};
pub(crate) use span::{Retry, extract, extract_again, start};

use batch_span::start_batch;
