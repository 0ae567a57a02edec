//! Whether messages are lost, doubled or torn from their trace, by an account that doesn't trust
//! the spans.
//!
//! A process that is killed loses the spans it hasn't sent yet. So a producer and its consumers
//! write down what they did, a line each, before anything is acknowledged: the producer what the
//! broker took, and by which span it was sent; a consumer what its handler saw, and in which span.
//! A line that was written survives the death of its writer. [`tally`] compares the two.

mod book;
mod consume;
mod orchestra;
mod produce;
mod spans;

pub use book::{Handled, Line, Sent, Tally, consumed, handled, sent, tally};
pub use consume::{Consume, Hold, consume, hold};
pub use orchestra::{Campaign, campaign, create_topic};
pub use produce::{Produce, produce};

use std::path::PathBuf;

/// What went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A book can't be read or written.
    #[error("{path}: {cause}", path = path.display())]
    Book {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// A line in a book isn't what was written there.
    #[error("{path}, line {line}: not a line of this ledger: {text}", path = path.display())]
    Line {
        /// Where the book is.
        path: PathBuf,
        /// The number of the line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Kafka refuses.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The consumer stopped.
    #[error(transparent)]
    Consumer(#[from] throughline_kafka::Error),
    /// A process can't be started or asked.
    #[error("a process of the ledger: {0}")]
    Process(std::io::Error),
    /// A process ended that shouldn't have.
    #[error("{0} ended by itself")]
    Ended(String),
    /// What was to happen didn't.
    #[error("{0}")]
    Late(String),
}
