//! The span of a record that is sent.

use opentelemetry::trace::{SpanContext, SpanKind};
use rdkafka::error::KafkaError;
use rdkafka::message::{OwnedHeaders, ToBytes};
use rdkafka::producer::FutureRecord;
use throughline_core::messaging::{Destination, destination};
use throughline_core::{BoundarySpan, Description, End, semconv};

use crate::inject::RecordHeaders;
use crate::settings::{Settings, partition_id};

const OPERATION: &str = "send";

/// Room for the attributes below and the ones at the end.
const CAPACITY: usize = 9;

/// Starts the span of a record, under the current context, and puts its own into the headers.
pub(super) fn start<K, P>(
    settings: &Settings,
    record: &mut FutureRecord<'_, K, P>,
    link: Option<&SpanContext>,
) -> BoundarySpan
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let config = &settings.config;
    let span = config.send(SpanKind::Producer, || {
        let Destination { name, destination } = destination(OPERATION, record.topic);
        let mut span = Description::new(name, CAPACITY);
        settings.describe(&mut span, OPERATION);
        span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
        if record.payload.is_none() {
            span.set(semconv::KAFKA_MESSAGE_TOMBSTONE, true);
        }
        if let Some(link) = link {
            span.link(link.clone());
        }
        span
    });
    record.headers = inject(settings, &span, record.headers.take());
    span
}

fn inject(
    settings: &Settings,
    span: &BoundarySpan,
    headers: Option<OwnedHeaders>,
) -> Option<OwnedHeaders> {
    let mut carrier = RecordHeaders::new(headers);
    settings.config.inject(span.context(), &mut carrier);
    carrier.into_inner()
}

/// Ends the span: the broker has the record.
pub(super) fn delivered(span: BoundarySpan, partition: i32, offset: i64) {
    if span.is_recording() {
        span.set_attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition_id(partition));
        span.set_attribute(semconv::KAFKA_OFFSET, offset);
    }
    span.end(End::Completed);
}

/// Ends the span: the broker doesn't have the record.
pub(super) fn refused(span: BoundarySpan, error: &KafkaError) {
    let code = error.rdkafka_error_code();
    let error_type = code.map_or_else(|| semconv::OTHER.to_owned(), |code| format!("{code:?}"));
    span.end(End::Failed { error_type: error_type.into(), description: error.to_string().into() });
}
