//! Errors on demand.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What can be asked of SQS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are AWS's names")]
pub enum Operation {
    CreateQueue,
    GetQueueUrl,
    GetQueueAttributes,
    SetQueueAttributes,
    ListQueues,
    PurgeQueue,
    DeleteQueue,
    SendMessage,
    SendMessageBatch,
    ReceiveMessage,
    DeleteMessage,
    DeleteMessageBatch,
    ChangeMessageVisibility,
    ChangeMessageVisibilityBatch,
}

impl Operation {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "CreateQueue" => Operation::CreateQueue,
            "GetQueueUrl" => Operation::GetQueueUrl,
            "GetQueueAttributes" => Operation::GetQueueAttributes,
            "SetQueueAttributes" => Operation::SetQueueAttributes,
            "ListQueues" => Operation::ListQueues,
            "PurgeQueue" => Operation::PurgeQueue,
            "DeleteQueue" => Operation::DeleteQueue,
            "SendMessage" => Operation::SendMessage,
            "SendMessageBatch" => Operation::SendMessageBatch,
            "ReceiveMessage" => Operation::ReceiveMessage,
            "DeleteMessage" => Operation::DeleteMessage,
            "DeleteMessageBatch" => Operation::DeleteMessageBatch,
            "ChangeMessageVisibility" => Operation::ChangeMessageVisibility,
            "ChangeMessageVisibilityBatch" => Operation::ChangeMessageVisibilityBatch,
            _ => return None,
        })
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done, and the answer is HTTP 500. A client tries again.
    ErrorBefore,
    /// It is done, and the answer is HTTP 500 all the same: a client that tries again does it twice.
    ErrorAfter,
    /// Nothing is done, and the answer is `RequestThrottled`. A client tries again.
    Throttled,
    /// Nothing is done, and the answer is an error of this code, by the sender's fault: `AccessDenied`
    /// for one. A client doesn't try again.
    Refused(&'static str),
    /// Nothing is done, and the connection is closed without an answer.
    CloseBefore,
    /// It is done, and the connection is closed without an answer.
    CloseAfter,
    /// It is done, and answered so much later, by the server's clock.
    Delayed(Duration),
    /// The entry at this place of a batch fails, counted from 0, by no fault of the sender; the
    /// others are done and the answer is HTTP 200. What isn't a batch is done.
    FailEntry(usize),
}

/// The faults to come, and how often each operation was asked for.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: HashMap<Operation, VecDeque<(usize, Fault)>>,
    requests: HashMap<Operation, usize>,
}

impl Faults {
    pub(super) fn add(&mut self, operation: Operation, count: usize, fault: Fault) {
        if count > 0 {
            self.next.entry(operation).or_default().push_back((count, fault));
        }
    }

    pub(super) fn clear(&mut self) {
        self.next.clear();
    }

    /// Counts a request, and says what goes wrong with it.
    pub(super) fn take(&mut self, operation: Operation) -> Option<Fault> {
        *self.requests.entry(operation).or_default() += 1;
        let next = self.next.get_mut(&operation)?;
        let (count, fault) = next.front_mut()?;
        *count -= 1;
        if *count > 0 {
            return Some(fault.clone());
        }
        next.pop_front().map(|(_, fault)| fault)
    }

    pub(super) fn requests(&self, operation: Operation) -> usize {
        self.requests.get(&operation).copied().unwrap_or_default()
    }
}
