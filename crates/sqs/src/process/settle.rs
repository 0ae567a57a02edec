//! The span of messages that are settled: deleted, or given back later or sooner.

use std::cell::LazyCell;

use aws_sdk_sqs::config::ConfigBag;
use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityInput;
use aws_sdk_sqs::operation::change_message_visibility_batch::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
};
use aws_sdk_sqs::operation::delete_message::DeleteMessageInput;
use aws_sdk_sqs::operation::delete_message_batch::{
    DeleteMessageBatchInput, DeleteMessageBatchOutput,
};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use opentelemetry::trace::SpanKind;
use throughline_core::metrics::Operation;
use throughline_core::{BoundarySpan, End, semconv};

use super::end::{self, Refused};
use super::span::{Place, SETTLE, count};
use crate::settings::Settings;

const DELETE: &str = "delete";
const CHANGE_VISIBILITY: &str = "change_visibility";

/// A call that settles messages.
#[derive(Debug)]
pub(super) struct Settling {
    span: BoundarySpan,
    batch: Option<usize>,
}

/// What it does, with which queue, and with how many messages if that may be more than one.
type Told<'a> = (&'static str, Option<&'a str>, Option<usize>);

fn told(input: &Input) -> Option<Told<'_>> {
    if let Some(input) = input.downcast_ref::<DeleteMessageInput>() {
        return Some((DELETE, input.queue_url(), None));
    }
    if let Some(input) = input.downcast_ref::<DeleteMessageBatchInput>() {
        return Some((DELETE, input.queue_url(), Some(input.entries().len())));
    }
    if let Some(input) = input.downcast_ref::<ChangeMessageVisibilityInput>() {
        return Some((CHANGE_VISIBILITY, input.queue_url(), None));
    }
    let input = input.downcast_ref::<ChangeMessageVisibilityBatchInput>()?;
    Some((CHANGE_VISIBILITY, input.queue_url(), Some(input.entries().len())))
}

/// The entries that were refused.
fn failed(output: &Output) -> &[BatchResultErrorEntry] {
    if let Some(output) = output.downcast_ref::<DeleteMessageBatchOutput>() {
        return output.failed();
    }
    let output = output.downcast_ref::<ChangeMessageVisibilityBatchOutput>();
    output.map_or(&[], ChangeMessageVisibilityBatchOutput::failed)
}

impl Settling {
    /// `None` for another call.
    pub(super) fn start(settings: &Settings, input: &Input, cfg: &ConfigBag) -> Option<Self> {
        let (operation, url, batch) = told(input)?;
        let config = &settings.config;
        let place = LazyCell::new(|| Place::queue(url, cfg));
        let mut span = config.send(SpanKind::Client, || {
            let mut span = place.describe(operation, SETTLE);
            if let Some(messages) = batch {
                span.set(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count(messages));
            }
            span
        });
        if config.is_measured()
            && let Some(measure) = place.measure(config, Operation::MessagingSettle, operation)
        {
            span.measured(measure);
        }
        Some(Settling { span, batch })
    }

    pub(super) fn end(self, context: &FinalizerInterceptorContextRef<'_>) {
        end::tell_request(&self.span, context);
        let end = match (end::result(context), self.batch) {
            (Err(end), _) => end,
            (Ok(_), None) => End::Completed,
            (Ok(output), Some(entries)) => {
                let refused = failed(output).iter();
                let refused: Vec<_> = refused
                    .map(|it| Refused { id: it.id(), code: it.code(), message: it.message() })
                    .collect();
                end::of_batch(&refused, entries)
            }
        };
        self.span.end(end);
    }
}
