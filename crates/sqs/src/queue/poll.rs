//! Polls, which outlive whoever waits for them: to break one off would hide what it brings.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{Message as SdkMessage, MessageSystemAttributeName};
use opentelemetry::Context;
use throughline_core::InContext;
use tokio::task::JoinHandle;

use super::keeper::{Keeper, seconds};
use super::opened::Opened;
use super::{Queue, calls};
use crate::error::Error;
use crate::process::{Deliveries, Delivery, Message};

pub(super) type Received = Result<Vec<Delivery>, Error>;

/// A poll on its way, in a task of its own.
pub(super) struct Poll(JoinHandle<Received>);

impl Poll {
    pub(super) fn start(queue: &Queue, opened: Opened, most: usize) -> Self {
        let Opened { client, keeper } = opened;
        let deliveries = queue.deliveries.clone();
        let request = client
            .receive_message()
            .queue_url(&*queue.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(seconds(queue.wait_time))
            .visibility_timeout(seconds(queue.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let poll = async move {
            let output =
                request.send().await.map_err(|source| failed(deliveries.queue(), source))?;
            let messages = output.messages.unwrap_or_default().into_iter();
            Ok(messages.filter_map(|it| take(it, &deliveries, &keeper)).collect())
        };
        #[expect(clippy::disallowed_methods, reason = "the context is kept")]
        Poll(tokio::spawn(InContext::new(poll, Context::current())))
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

/// Polls that nobody waits for any more.
#[derive(Default)]
pub(super) struct Left(Mutex<Vec<Poll>>);

impl Left {
    /// One of them, the first that is done, if any is.
    pub(super) fn take(&self) -> Option<Poll> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = left.iter().position(Poll::is_done).unwrap_or(0);
        (place < left.len()).then(|| left.remove(place))
    }

    /// Waits for a poll; who is dropped before leaves it here. `None` if its runtime is gone.
    pub(super) async fn wait(&self, poll: Poll) -> Option<Received> {
        let mut waiting = Waiting { left: self, poll: Some(poll) };
        let Some(Poll(poll)) = &mut waiting.poll else { return None };
        let received = poll.await;
        waiting.poll = None;
        match received {
            Ok(received) => Some(received),
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }
}

struct Waiting<'a> {
    left: &'a Left,
    poll: Option<Poll>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(poll) = self.poll.take() {
            self.left.0.lock().unwrap_or_else(PoisonError::into_inner).push(poll);
        }
    }
}

fn take(
    mut message: SdkMessage,
    deliveries: &Deliveries,
    keeper: &Arc<Keeper>,
) -> Option<Delivery> {
    // It stays with the lease: nobody else is to delete it.
    let Some(receipt) = message.receipt_handle.take() else {
        let (queue, message_id) = (deliveries.queue(), message.message_id());
        tracing::error!(queue, message_id, "SQS gave no receipt for a message: it comes again");
        return None;
    };
    let id = message.message_id.clone().unwrap_or_default();
    let lease = keeper.hold(receipt, id, Message::new(&message).receive_count().unwrap_or(1));
    Some(Delivery::new(deliveries.clone(), message, Some(lease)))
}

fn failed(queue: &str, source: SdkError<ReceiveMessageError>) -> Error {
    let queue = queue.into();
    let source = Box::new(source);
    let code = source.code();
    if code.is_some_and(calls::is_gone) {
        return Error::QueueDoesNotExist { queue, source };
    }
    match code.and_then(|code| calls::missing(code, calls::RECEIVE)) {
        Some(right) => Error::AccessDenied { queue, right, source },
        None => Error::Receive { queue, source },
    }
}

/// Whether another try may go better.
pub(crate) fn is_transient(error: &SdkError<ReceiveMessageError>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        _ => !error.code().is_some_and(calls::is_final),
    }
}
