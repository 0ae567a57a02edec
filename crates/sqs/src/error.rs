use std::fmt;
use std::sync::Arc;

use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;

/// Why a queue can't be read, or messages stay in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such queue.
    #[error("the queue {queue} does not exist; check its URL and region, or create it")]
    QueueDoesNotExist {
        /// The URL of the queue.
        queue: Arc<str>,
        /// What SQS said.
        source: Box<SdkError<ReceiveMessageError>>,
    },
    /// SQS knows who asks, or doesn't, and says no: to receive, or to delete or keep what was received.
    #[error(
        "access to the queue {queue} is denied; it takes valid credentials with the right {right}"
    )]
    AccessDenied {
        /// The URL of the queue.
        queue: Arc<str>,
        /// The right that is missing: `sqs:DeleteMessage`, or `kms:Decrypt` for a queue with a key of
        /// its own.
        right: &'static str,
        /// What SQS said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was received, for another reason; [`is_transient`](Self::is_transient) says whether
    /// that may pass by itself.
    #[error("no messages could be received from the queue {queue}{}", hint(.queue))]
    Receive {
        /// The URL of the queue.
        queue: Arc<str>,
        /// What went wrong.
        source: Box<SdkError<ReceiveMessageError>>,
    },
    /// Messages were handled, but could not be deleted. They come again: their handlers have to
    /// stand that, or the messages have to be deleted by hand.
    #[error("{} of the queue {queue} were handled but not deleted, and come again: {}",
        number(*.count), list(*.count, .messages))]
    NotDeleted {
        /// The URL of the queue.
        queue: Arc<str>,
        /// How many they are.
        count: usize,
        /// Which, and why: the first hundred of them.
        messages: Vec<NotDeleted>,
    },
    /// The thread can't be started that deletes messages and keeps them invisible meanwhile.
    #[error("no thread could be started for the queue {queue}; nothing was received")]
    Thread {
        /// The URL of the queue.
        queue: Arc<str>,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The runtime was shut down while messages were waited for.
    #[error("the runtime was shut down while messages of the queue {queue} were waited for")]
    Stopped {
        /// The URL of the queue.
        queue: Arc<str>,
    },
}

/// A message that was handled, but could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotDeleted {
    /// Its id.
    pub message_id: String,
    /// What SQS said at last.
    pub reason: String,
}

impl fmt::Display for NotDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message_id, self.reason)
    }
}

/// For whoever gave a name or an ARN.
fn hint(queue: &str) -> &'static str {
    match queue.contains("://") {
        true => "",
        false => "; it takes the URL of a queue, as `GetQueueUrl` tells it",
    }
}

/// How many of them a line names.
const LISTED: usize = 10;

fn number(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        more => format!("{more} messages"),
    }
}

fn list(count: usize, messages: &[NotDeleted]) -> String {
    let listed: Vec<_> = messages.iter().take(LISTED).map(ToString::to_string).collect();
    match count.saturating_sub(listed.len()) {
        0 => listed.join(", "),
        more => format!("{}, and {more} more", listed.join(", ")),
    }
}

impl Error {
    /// Whether it may pass by itself: a network that is away, a service that is busy. A
    /// [`Runner`](crate::Runner) tries those again, and ends on the others.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Receive { source, .. } => crate::queue::is_transient(source),
            _ => false,
        }
    }
}
