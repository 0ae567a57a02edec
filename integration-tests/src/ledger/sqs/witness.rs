//! What became of each request, from the SDK itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_sqs::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::operation::change_message_visibility_batch::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
};
use aws_sdk_sqs::operation::delete_message_batch::{
    DeleteMessageBatchInput, DeleteMessageBatchOutput,
};
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_sdk_sqs::operation::send_message::SendMessageInput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchInput;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchResultEntry as ChangedEntry,
    DeleteMessageBatchResultEntry as DeletedEntry,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::ledger::book::{Book, Line, Place};

/// An interceptor that writes down what the SDK tells nobody, or what only the queue hears.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    book: Arc<Book>,
    /// Which message a receipt is of.
    receipts: Arc<Mutex<HashMap<String, Place>>>,
}

/// What a call is about.
#[derive(Debug)]
enum Subject {
    Send(Vec<u64>),
    /// By the ids of the entries.
    Delete(HashMap<String, Place>),
    Keep(HashMap<String, Place>),
}

impl Storable for Subject {
    type Storer = StoreReplace<Self>;
}

impl Witness {
    pub(super) fn new(book: Arc<Book>) -> Self {
        Witness { book, receipts: Arc::default() }
    }

    fn receipts(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, lines: &[Line]) {
        // A hook that fails would fail the call.
        if let Err(error) = self.book.write_all(lines) {
            eprintln!("{error}");
        }
    }

    fn places<'a>(
        &self,
        entries: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> HashMap<String, Place> {
        let receipts = self.receipts();
        let known = |(id, receipt): (&str, &str)| Some((id.into(), receipts.get(receipt)?.clone()));
        entries.filter_map(known).collect()
    }

    fn subject(&self, input: &Input) -> Option<Subject> {
        if let Some(input) = input.downcast_ref::<SendMessageInput>() {
            return Some(Subject::Send(input.message_body()?.parse().into_iter().collect()));
        }
        if let Some(input) = input.downcast_ref::<SendMessageBatchInput>() {
            let ids = input.entries().iter().filter_map(|entry| entry.message_body().parse().ok());
            return Some(Subject::Send(ids.collect()));
        }
        if let Some(input) = input.downcast_ref::<DeleteMessageBatchInput>() {
            let entries = input.entries().iter().map(|entry| (entry.id(), entry.receipt_handle()));
            return Some(Subject::Delete(self.places(entries)));
        }
        let input = input.downcast_ref::<ChangeMessageVisibilityBatchInput>()?;
        let entries = input.entries().iter().map(|entry| (entry.id(), entry.receipt_handle()));
        Some(Subject::Keep(self.places(entries)))
    }

    fn received(&self, output: &ReceiveMessageOutput) {
        let process = std::process::id();
        let mut lines = Vec::new();
        for message in output.messages() {
            if let (Some(id), Some(receipt)) = (message.message_id(), message.receipt_handle()) {
                let place = Place::Message(id.into());
                self.receipts().insert(receipt.to_owned(), place.clone());
                lines.push(Line::Taken { process, place });
            }
        }
        self.note(&lines);
    }
}

/// The ids of the entries that were done.
fn done(output: &Output) -> Vec<&str> {
    if let Some(output) = output.downcast_ref::<DeleteMessageBatchOutput>() {
        return output.successful().iter().map(DeletedEntry::id).collect();
    }
    let changed = output.downcast_ref::<ChangeMessageVisibilityBatchOutput>();
    let changed = changed.map(ChangeMessageVisibilityBatchOutput::successful).unwrap_or_default();
    changed.iter().map(ChangedEntry::id).collect()
}

impl Intercept for Witness {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(subject) = self.subject(context.input()) {
            cfg.interceptor_state().store_put(subject);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(Err(_)), Some(Subject::Send(ids))) =
            (context.output_or_error(), cfg.load::<Subject>())
        {
            self.note(&ids.iter().map(|id| Line::Unanswered { id: *id }).collect::<Vec<_>>());
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let output = context.output_or_error().and_then(Result::ok);
        let received = output.and_then(|it| it.downcast_ref::<ReceiveMessageOutput>());
        if let Some(received) = received {
            self.received(received);
        }
        let (entries, is_deletion) = match cfg.load::<Subject>() {
            Some(Subject::Delete(entries)) => (entries, true),
            Some(Subject::Keep(entries)) => (entries, false),
            _ => return Ok(()),
        };
        let (process, done) = (std::process::id(), output.map(done).unwrap_or_default());
        let mut lines = Vec::new();
        for (id, place) in entries {
            let place = place.clone();
            match done.contains(&id.as_str()) {
                true if is_deletion => lines.push(Line::Deleted { process, place }),
                true => {}
                false => lines.push(Line::Unheld { process, place }),
            }
        }
        self.note(&lines);
        Ok(())
    }
}
