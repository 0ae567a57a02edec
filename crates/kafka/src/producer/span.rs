//! The span of a record that is sent.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanKind};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use throughline_core::messaging::{self, Destination, destination};
use throughline_core::{BoundarySpan, Description, End, Propagate, semconv};

use crate::error::failed;
use crate::inject::RecordHeaders;
use crate::settings::{CREATE, Operation, SEND, Settings, partition_id, tell};
use crate::{Headers, extract};

/// Room for the attributes below and the ones at the end.
const CAPACITY: usize = 13;

/// What is told of a record.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    pub(super) is_tombstone: bool,
    pub(super) key: Option<&'a [u8]>,
}

/// What was received, and is sent on.
#[derive(Clone, Copy)]
pub(super) struct Forwarded<'a> {
    /// A span to link to.
    pub(super) link: Option<&'a SpanContext>,
}

/// A record that is about to be sent.
pub(super) struct Sending {
    pub(super) span: BoundarySpan,
    /// Whether the span's context is in the headers, or the user's own still is.
    pub(super) is_injected: bool,
}

fn describe(settings: &Settings, record: Outgoing<'_>, operation: Operation) -> Description {
    let Destination { name, destination } = destination(operation.name, record.topic);
    let mut span = Description::new(name, CAPACITY);
    settings.describe(&mut span, operation);
    span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
    settings.tell_key(record.key, |key, value| span.set(key, value));
    if record.is_tombstone {
        tell(semconv::KAFKA_MESSAGE_TOMBSTONE, true, |key, value| span.set(key, value));
    }
    span
}

/// Starts the span of a record, under the current context, and puts its own into the headers, unless
/// the user has put one there.
#[inline]
pub(super) fn start(
    settings: &Settings,
    record: Outgoing<'_>,
    headers: &mut Option<OwnedHeaders>,
    forwarded: Option<Forwarded<'_>>,
) -> Sending {
    // What is forwarded has the context that it came with.
    if forwarded.is_none()
        && let Some(headers) = headers
        && let Some(created) = creation_context(settings, headers)
    {
        let describe = || describe(settings, record, SEND);
        let mut span = messaging::send_created(&settings.config, created, describe);
        settings.measure(&mut span, SEND, Some(record.topic), Some(1));
        return Sending { span, is_injected: false };
    }
    let mut span = settings.config.send(SpanKind::Producer, || {
        let mut span = describe(settings, record, SEND);
        if let Some(link) = forwarded.and_then(|forwarded| forwarded.link) {
            span.link(link.clone());
        }
        span
    });
    settings.measure(&mut span, SEND, Some(record.topic), Some(1));
    *headers = inject(settings, span.context(), headers.take());
    Sending { span, is_injected: true }
}

fn creation_context(settings: &Settings, headers: &OwnedHeaders) -> Option<Context> {
    let headers = Headers::new(Some(headers.as_borrowed()));
    settings.config.creation_context(&extract::Created(headers))
}

/// The headers of a record that is created here and sent later.
pub(super) fn create(
    settings: &Settings,
    topic: &str,
    headers: Option<OwnedHeaders>,
) -> OwnedHeaders {
    let headers = headers.unwrap_or_default();
    if creation_context(settings, &headers).is_some() {
        return headers;
    }
    let record = Outgoing { topic, is_tombstone: false, key: None };
    let span = settings.config.send(SpanKind::Producer, || describe(settings, record, CREATE));
    let headers = inject(settings, span.context(), Some(headers));
    span.end(End::Completed);
    headers.unwrap_or_default()
}

fn inject(
    settings: &Settings,
    context: &Context,
    headers: Option<OwnedHeaders>,
) -> Option<OwnedHeaders> {
    let mut carrier = RecordHeaders::new(headers);
    settings.config.inject(context, &mut carrier);
    carrier.into_inner()
}

/// The record was not queued, and is given back: nothing was sent. What was injected goes, so that it
/// isn't taken for the user's when the record is sent again.
#[cold]
pub(super) fn withdraw(
    settings: &Settings,
    sending: Sending,
    error: &KafkaError,
    headers: &mut Option<OwnedHeaders>,
) {
    let Sending { mut span, is_injected } = sending;
    if let Some(measure) = span.measure() {
        measure.messages(0);
    }
    refused(&mut span, error);
    if is_injected {
        let mut carrier = RecordHeaders::new(headers.take());
        settings.config.inject_as(span.context(), &mut carrier, Propagate::Nothing);
        *headers = carrier.into_inner();
    }
}

/// Ends the span: the broker has the record.
pub(super) fn delivered(span: &mut BoundarySpan, partition: i32, offset: i64) {
    if span.is_recording() {
        span.set_attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition_id(partition));
        tell(semconv::KAFKA_OFFSET, offset, |key, value| span.set_attribute(key, value));
    }
    span.finish(End::Completed);
}

/// Ends the span: the broker doesn't have the record.
pub(super) fn refused(span: &mut BoundarySpan, error: &KafkaError) {
    span.finish(failed(error));
}
