//! What is answered when something is refused, in the names that AWS gives it.

use serde_json::{Value, json};

/// An error of the protocol.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What the JSON protocol calls it: `QueueDoesNotExist`.
    pub(super) shape: &'static str,
    /// What the older query protocol calls it, by which clients still tell errors apart.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    fn of(shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status: 400, shape, code, message: message.into() }
    }

    /// Whether the sender is to blame.
    pub(super) fn senders_fault(&self) -> bool {
        self.status < 500
    }

    pub(super) fn body(&self) -> Value {
        json!({ "__type": format!("com.amazonaws.sqs#{}", self.shape), "message": self.message })
    }

    /// The value of `x-amzn-query-error`.
    pub(super) fn query_error(&self) -> String {
        format!("{};{}", self.code, if self.senders_fault() { "Sender" } else { "Receiver" })
    }

    pub(super) fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Refusal { status: 500, ..Refusal::of("InternalFailure", "InternalFailure", message) }
    }

    pub(super) fn throttled() -> Self {
        let message = "The request was denied due to request throttling.";
        Refusal::of("RequestThrottled", "RequestThrottled", message)
    }

    /// What a test wants to see refused.
    pub(super) fn told(code: &'static str) -> Self {
        Refusal::of(code, code, "The request was refused, as was asked for.")
    }

    pub(super) fn no_queue() -> Self {
        let code = "AWS.SimpleQueueService.NonExistentQueue";
        Refusal::of("QueueDoesNotExist", code, "The specified queue does not exist.")
    }

    pub(super) fn queue_exists(attribute: &str) -> Self {
        let message = format!(
            "A queue already exists with the same name and a different value for attribute {attribute}"
        );
        Refusal::of("QueueNameExists", "QueueAlreadyExists", message)
    }

    pub(super) fn deleted_recently() -> Self {
        let code = "AWS.SimpleQueueService.QueueDeletedRecently";
        let message = "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
        Refusal::of("QueueDeletedRecently", code, message)
    }

    pub(super) fn purge_in_progress(queue: &str) -> Self {
        let code = "AWS.SimpleQueueService.PurgeQueueInProgress";
        let message =
            format!("Only one PurgeQueue operation on {queue} is allowed every 60 seconds.");
        Refusal::of("PurgeQueueInProgress", code, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::of("InvalidParameterValueException", "InvalidParameterValue", message)
    }

    /// A value, told as AWS tells it.
    pub(super) fn value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Refusal::invalid(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}."
        ))
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Refusal::of("MissingRequiredParameterException", "MissingParameter", message)
    }

    pub(super) fn contents() -> Self {
        let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
        Refusal::of("InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn attribute_name(name: &str) -> Self {
        let message = format!("Unknown Attribute {name}.");
        Refusal::of("InvalidAttributeName", "InvalidAttributeName", message)
    }

    pub(super) fn attribute_value(name: &str) -> Self {
        let message = format!("Invalid value for the parameter {name}.");
        Refusal::of("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    pub(super) fn receipt_handle(handle: &str) -> Self {
        let message =
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        Refusal::of("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
    }

    pub(super) fn not_in_flight(message: &str) -> Self {
        let code = "AWS.SimpleQueueService.MessageNotInflight";
        let message = format!("The message {message} is not in flight.");
        Refusal::of("MessageNotInflight", code, message)
    }

    pub(super) fn address(url: &str) -> Self {
        let message = format!("The address {url} is not valid for this endpoint.");
        Refusal::of("InvalidAddress", "InvalidAddress", message)
    }

    pub(super) fn over_limit(limit: usize) -> Self {
        let message = format!("Too many messages are in flight: the limit is {limit}.");
        Refusal::of("OverLimit", "OverLimit", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        let code = "AWS.SimpleQueueService.UnsupportedOperation";
        Refusal::of("UnsupportedOperation", code, message)
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Refusal::of("SerializationException", "MalformedInput", message)
    }

    pub(super) fn unknown_operation(target: &str) -> Self {
        let message = format!("There is no operation `{target}` here.");
        Refusal::of("UnknownOperationException", "InvalidAction", message)
    }

    pub(super) fn empty_batch() -> Self {
        let code = "AWS.SimpleQueueService.EmptyBatchRequest";
        let message = "There should be at least one entry in the request.";
        Refusal::of("EmptyBatchRequest", code, message)
    }

    pub(super) fn too_many_entries(count: usize) -> Self {
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        let message =
            format!("Maximum number of entries per request are 10. You have sent {count}.");
        Refusal::of("TooManyEntriesInBatchRequest", code, message)
    }

    pub(super) fn ids_not_distinct(id: &str) -> Self {
        let code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        Refusal::of("BatchEntryIdsNotDistinct", code, format!("Id {id} repeated."))
    }

    pub(super) fn entry_id() -> Self {
        let code = "AWS.SimpleQueueService.InvalidBatchEntryId";
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        Refusal::of("InvalidBatchEntryId", code, message)
    }

    pub(super) fn batch_too_long(size: usize, limit: usize) -> Self {
        let code = "AWS.SimpleQueueService.BatchRequestTooLong";
        let message = format!(
            "Batch requests cannot be longer than {limit} bytes. You have sent {size} bytes."
        );
        Refusal::of("BatchRequestTooLong", code, message)
    }
}
