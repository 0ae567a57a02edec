//! Whether messages are lost, doubled or torn from their trace, by an account that doesn't trust
//! the spans.
//!
//! A process that is killed loses the spans it hasn't sent yet. So producers and consumers write down
//! what they do in one book outside, a line each: a producer what it tries to send, what the broker
//! took, and by which span it was sent; a consumer what its handler saw, and in which span, before
//! that is acknowledged; what was acknowledged; how partitions came and went. Whoever runs the
//! [`Campaign`] adds whom it killed and what it let the broker do wrong. A line that was written
//! survives the death of its writer, and lines stand in the order in which things happened.
//!
//! The [`Accounts`] are drawn from that. A message that was handled again must have a cause in the
//! book that lies between the two: its consumer was killed, its partition left, its handler failed.
//! One that hasn't is more than at-least-once allows.

mod accounts;
mod backlog;
mod book;
mod campaign;
mod error;
mod kafka;
mod scribe;
mod spans;
mod sqs;
mod tally;

pub use accounts::{Accounts, Order};
pub use book::{Handled, Line, Place, Reader};
pub use campaign::{Campaign, Kind, Outcome, create_topic};
pub use error::Error;
pub use kafka::{Consume, Hold, Produce, Protocol, consume, hold, produce};
pub use sqs::{Receive, Send, receive, send};
pub use tally::{Again, Cause, Tally};
