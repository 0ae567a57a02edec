//! The life of a message that is processed.

use std::fmt::Display;

use throughline_core::{BoundarySpan, End};

use crate::error::Reason;

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

/// Ends the span by what the handler has said; why it failed, if it did.
#[inline]
fn conclude<T, E: Display>(result: &Result<T, E>, span: BoundarySpan) -> Result<(), Reason> {
    match result {
        Ok(_) => {
            span.end(End::Completed);
            Ok(())
        }
        Err(error) => {
            span.end(End::failed_saying::<E>(error));
            Err(Reason::text(format!("{error:#}")))
        }
    }
}
