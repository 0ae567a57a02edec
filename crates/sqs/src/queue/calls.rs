//! The calls that settle messages and keep them, ten at a time, and what came of each.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry as ChangeEntry,
    ChangeMessageVisibilityBatchResultEntry as ChangedEntry,
    DeleteMessageBatchRequestEntry as DeleteEntry, DeleteMessageBatchResultEntry as DeletedEntry,
};
use throughline_core::error_chain;

/// SQS takes no more in a batch.
pub(super) const BATCH: usize = 10;

/// What came of one message.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Done,
    /// It may go well another time.
    Failed(String),
    /// It never will: the receipt has expired, the queue is gone, the right is missing.
    Refused(String),
}

/// A message of a call: its number here, and its receipt.
pub(super) type Entry = (u64, String);

/// Deletes messages.
pub(super) async fn delete(
    client: Client,
    url: String,
    entries: Vec<Entry>,
) -> Vec<(u64, Outcome)> {
    let list = entries.iter().enumerate().filter_map(|(place, (_, receipt))| {
        DeleteEntry::builder().id(place.to_string()).receipt_handle(receipt).build().ok()
    });
    let request = client.delete_message_batch().queue_url(url);
    match request.set_entries(Some(list.collect())).send().await {
        Ok(output) => {
            let done: Vec<_> = output.successful().iter().map(DeletedEntry::id).collect();
            told(&entries, &done, output.failed())
        }
        Err(error) => all(&entries, &error),
    }
}

/// Hides messages for so many seconds each, or shows them.
pub(super) async fn change(
    client: Client,
    url: String,
    entries: Vec<(Entry, i32)>,
) -> Vec<(u64, Outcome)> {
    let list = entries.iter().enumerate().filter_map(|(place, ((_, receipt), seconds))| {
        let entry = ChangeEntry::builder().id(place.to_string()).receipt_handle(receipt);
        entry.visibility_timeout(*seconds).build().ok()
    });
    let request = client.change_message_visibility_batch().queue_url(url);
    let sent = request.set_entries(Some(list.collect())).send().await;
    let entries: Vec<Entry> = entries.into_iter().map(|(entry, _)| entry).collect();
    match sent {
        Ok(output) => {
            let done: Vec<_> = output.successful().iter().map(ChangedEntry::id).collect();
            told(&entries, &done, output.failed())
        }
        Err(error) => all(&entries, &error),
    }
}

/// An answer of 200 says nothing: it tells of each entry.
fn told(entries: &[Entry], done: &[&str], failed: &[BatchResultErrorEntry]) -> Vec<(u64, Outcome)> {
    let outcome = |place: usize| {
        let id = place.to_string();
        if done.contains(&id.as_str()) {
            return Outcome::Done;
        }
        match failed.iter().find(|it| it.id() == id) {
            Some(it) => {
                let said = format!("{}: {}", it.code(), it.message().unwrap_or_default());
                if it.sender_fault() { Outcome::Refused(said) } else { Outcome::Failed(said) }
            }
            None => Outcome::Failed("SQS told nothing of it".to_owned()),
        }
    };
    entries.iter().enumerate().map(|(place, (id, _))| (*id, outcome(place))).collect()
}

fn all<E>(entries: &[Entry], error: &SdkError<E>) -> Vec<(u64, Outcome)>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let said = error_chain(error);
    let outcome = match error.code().is_some_and(is_final) {
        true => Outcome::Refused(said),
        false => Outcome::Failed(said),
    };
    entries.iter().map(|(id, _)| (*id, outcome.clone())).collect()
}

/// A queue that isn't there.
pub(super) fn is_gone(code: &str) -> bool {
    let codes = ["QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"];
    codes.contains(&plain(code))
}

/// Codes by which AWS says no to whoever asks.
pub(super) fn is_denied(code: &str) -> bool {
    const CODES: [&str; 15] = [
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "KmsAccessDenied",
        "KMS.AccessDeniedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ];
    CODES.contains(&plain(code))
}

/// Codes that no later try changes.
pub(super) fn is_final(code: &str) -> bool {
    const CODES: [&str; 6] = [
        "InvalidAddress",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingParameter",
        "UnsupportedOperation",
        "ValidationError",
    ];
    is_gone(code) || is_denied(code) || CODES.contains(&plain(code))
}

/// A code without the prefix that it has in AWS's older protocol.
fn plain(code: &str) -> &str {
    code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_later_try_changes_is_told_from_what_passes() {
        for code in ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"] {
            assert!(is_gone(code) && is_final(code) && !is_denied(code), "{code}");
        }
        for code in ["AccessDenied", "AccessDeniedException", "InvalidClientTokenId"] {
            assert!(is_denied(code) && is_final(code) && !is_gone(code), "{code}");
        }
        // New credentials are on their way, or fewer calls are.
        for code in ["ExpiredToken", "RequestThrottled", "OverLimit", "InternalFailure"] {
            assert!(!is_final(code), "{code}");
        }
    }
}
