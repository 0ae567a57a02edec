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
    /// It never will: the receipt has expired, the queue is gone.
    Refused(String),
    /// This right is missing.
    Denied(&'static str, String),
}

pub(super) const RECEIVE: &str = "sqs:ReceiveMessage";
const DELETE: &str = "sqs:DeleteMessage";
const CHANGE: &str = "sqs:ChangeMessageVisibility";
const DECRYPT: &str = "kms:Decrypt";

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
            told(&entries, &done, output.failed(), DELETE)
        }
        Err(error) => all(&entries, &error, DELETE),
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
            told(&entries, &done, output.failed(), CHANGE)
        }
        Err(error) => all(&entries, &error, CHANGE),
    }
}

/// An answer of 200 says nothing: it tells of each entry.
fn told(
    entries: &[Entry],
    done: &[&str],
    failed: &[BatchResultErrorEntry],
    right: &'static str,
) -> Vec<(u64, Outcome)> {
    let outcome = |place: usize| {
        let id = place.to_string();
        if done.contains(&id.as_str()) {
            return Outcome::Done;
        }
        match failed.iter().find(|it| it.id() == id) {
            Some(it) => {
                let said = format!("{}: {}", it.code(), it.message().unwrap_or_default());
                match missing(it.code(), right) {
                    Some(right) => Outcome::Denied(right, said),
                    None if it.sender_fault() => Outcome::Refused(said),
                    None => Outcome::Failed(said),
                }
            }
            None => Outcome::Failed("SQS told nothing of it".to_owned()),
        }
    };
    entries.iter().enumerate().map(|(place, (id, _))| (*id, outcome(place))).collect()
}

fn all<E>(entries: &[Entry], error: &SdkError<E>, right: &'static str) -> Vec<(u64, Outcome)>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let said = error_chain(error);
    let code = error.code();
    let outcome = match code.and_then(|code| missing(code, right)) {
        Some(right) => Outcome::Denied(right, said),
        None if code.is_some_and(is_final) => Outcome::Refused(said),
        None => Outcome::Failed(said),
    };
    entries.iter().map(|(id, _)| (*id, outcome.clone())).collect()
}

/// A queue that isn't there.
pub(super) fn is_gone(code: &str) -> bool {
    let codes = ["QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"];
    codes.contains(&plain(code))
}

/// The right that is missing, if AWS says no by this code to who asks for `right`.
pub(super) fn missing(code: &str, right: &'static str) -> Option<&'static str> {
    const CODES: [&str; 13] = [
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ];
    // Of a queue that is encrypted with a key of its own.
    const OF_KEYS: [&str; 2] = ["KmsAccessDenied", "KMS.AccessDeniedException"];
    let code = plain(code);
    match OF_KEYS.contains(&code) {
        true => Some(DECRYPT),
        false => CODES.contains(&code).then_some(right),
    }
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
    is_gone(code) || missing(code, RECEIVE).is_some() || CODES.contains(&plain(code))
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
        let missing = |code| missing(code, DELETE);
        for code in ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"] {
            assert!(is_gone(code) && is_final(code) && missing(code).is_none(), "{code}");
        }
        for code in ["AccessDenied", "AccessDeniedException", "InvalidClientTokenId"] {
            assert!(missing(code) == Some(DELETE) && is_final(code) && !is_gone(code), "{code}");
        }
        for code in ["KMS.AccessDeniedException", "AWS.SimpleQueueService.KmsAccessDenied"] {
            assert!(missing(code) == Some(DECRYPT) && is_final(code), "{code}");
        }
        // New credentials are on their way, or fewer calls are.
        for code in ["ExpiredToken", "RequestThrottled", "OverLimit", "InternalFailure"] {
            assert!(!is_final(code), "{code}");
        }
    }
}
