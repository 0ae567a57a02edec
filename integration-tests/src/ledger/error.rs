use std::path::PathBuf;

use rdkafka::error::RDKafkaErrorCode;
use throughline_testing::embedded::{KafkaError, SqsError};
use tokio::task::JoinError;

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
    /// The campaign needs a broker that isn't there.
    #[error(
        "{variable} is not set, which says where the broker is; to start one: \
         integration-tests/native/stack run --only {part} -- COMMAND"
    )]
    NoBroker {
        /// What names it.
        variable: &'static str,
        /// What it is called in the native stack.
        part: &'static str,
    },
    /// Kafka refuses.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The producer sends nothing any more.
    #[error("the producer is at its end: {0}: {1}")]
    Fatal(RDKafkaErrorCode, String),
    /// The consumer stopped.
    #[error(transparent)]
    Consumer(#[from] throughline::kafka::Error),
    /// The queue can't be read any more.
    #[error(transparent)]
    Queue(#[from] throughline::sqs::Error),
    /// SQS refuses.
    #[error("SQS: {0}")]
    Sqs(String),
    /// The embedded Kafka doesn't do what it is told.
    #[error(transparent)]
    EmbeddedKafka(#[from] KafkaError),
    /// The embedded SQS doesn't do what it is told.
    #[error(transparent)]
    EmbeddedSqs(#[from] SqsError),
    /// A process can't be started or asked.
    #[error("a process of the ledger: {0}")]
    Process(std::io::Error),
    /// A process ended that shouldn't have.
    #[error("{0} ended by itself")]
    Ended(String),
    /// A task was lost.
    #[error("a task of the ledger was lost: {0}")]
    Task(JoinError),
    /// What was to happen didn't.
    #[error("after {seconds} s there is still not {what}; so far: {tally}")]
    Late {
        /// How long it was waited for.
        seconds: u64,
        /// What.
        what: String,
        /// What the book says.
        tally: String,
    },
    /// A message that nobody of this ledger has sent.
    #[error("a message that is none of this ledger: {0}")]
    Foreign(String),
    /// A message was sent or handled without a span.
    #[error("message {0} has no span of its own")]
    NoSpan(u64),
    /// A handler fails, as the campaign wants it.
    #[error("message {0} fails, as the ledger wants it")]
    Wanted(u64),
}

impl Error {
    pub(super) fn task(error: JoinError) -> Self {
        Error::Task(error)
    }
}
