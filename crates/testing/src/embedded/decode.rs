//! OTLP in protobuf, to lineage's spans.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{self as common, any_value};
use opentelemetry_proto::tonic::trace::v1::{self as trace, span::SpanKind, status::StatusCode};
use prost::{DecodeError, Message};
use throughline_lineage::{
    AnyValue, Attributes, Event, Kind, Link, Resource, Scope, Span, SpanId, Status, TraceId,
};

/// What was in a request.
pub(super) struct Decoded {
    pub(super) spans: Vec<Span>,
    /// How many spans had no valid ids.
    pub(super) rejected: i64,
}

pub(super) fn protobuf(body: &[u8]) -> Result<Decoded, DecodeError> {
    let request = ExportTraceServiceRequest::decode(body)?;
    let mut decoded = Decoded { spans: Vec::new(), rejected: 0 };
    for group in request.resource_spans {
        let resource = group.resource.unwrap_or_default();
        let resource = Arc::new(Resource {
            attributes: attributes(resource.attributes),
            dropped_attributes_count: resource.dropped_attributes_count,
            schema_url: group.schema_url,
        });
        for group in group.scope_spans {
            let scope = group.scope.unwrap_or_default();
            let scope = Arc::new(Scope {
                name: scope.name,
                version: scope.version,
                attributes: attributes(scope.attributes),
                dropped_attributes_count: scope.dropped_attributes_count,
                schema_url: group.schema_url,
            });
            for span in group.spans {
                match self::span(span, &resource, &scope) {
                    Some(span) => decoded.spans.push(span),
                    None => decoded.rejected += 1,
                }
            }
        }
    }
    Ok(decoded)
}

/// The body of an answer. All accepted is an empty message.
pub(super) fn answer(rejected: i64) -> Vec<u8> {
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: "a span needs a trace id of 16 bytes and a span id of 8, not all zero"
            .to_owned(),
    });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

fn span(span: trace::Span, resource: &Arc<Resource>, scope: &Arc<Scope>) -> Option<Span> {
    let mut out = Span::new(trace_id(&span.trace_id)?, span_id(&span.span_id)?, span.name);
    out.trace_state = span.trace_state;
    out.parent = span_id(&span.parent_span_id);
    out.flags = span.flags;
    out.kind = match SpanKind::try_from(span.kind) {
        Ok(SpanKind::Server) => Kind::Server,
        Ok(SpanKind::Client) => Kind::Client,
        Ok(SpanKind::Producer) => Kind::Producer,
        Ok(SpanKind::Consumer) => Kind::Consumer,
        Ok(SpanKind::Internal | SpanKind::Unspecified) | Err(_) => Kind::Internal,
    };
    out.start_time_unix_nano = span.start_time_unix_nano;
    out.end_time_unix_nano = span.end_time_unix_nano;
    out.attributes = attributes(span.attributes);
    out.dropped_attributes_count = span.dropped_attributes_count;
    out.events = span.events.into_iter().map(event).collect();
    out.dropped_events_count = span.dropped_events_count;
    out.links = span.links.into_iter().filter_map(link).collect();
    out.dropped_links_count = span.dropped_links_count;
    let status = span.status.unwrap_or_default();
    out.status = match status.code() {
        StatusCode::Unset => Status::Unset,
        StatusCode::Ok => Status::Ok,
        StatusCode::Error => Status::Error(status.message),
    };
    out.resource = Arc::clone(resource);
    out.scope = Arc::clone(scope);
    Some(out)
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    TraceId::from_bytes(bytes.try_into().ok()?).ok()
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    SpanId::from_bytes(bytes.try_into().ok()?).ok()
}

fn event(event: trace::span::Event) -> Event {
    Event {
        time_unix_nano: event.time_unix_nano,
        name: event.name,
        attributes: attributes(event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn link(link: trace::span::Link) -> Option<Link> {
    let mut out = Link::new(trace_id(&link.trace_id)?, span_id(&link.span_id)?);
    out.trace_state = link.trace_state;
    out.attributes = attributes(link.attributes);
    out.dropped_attributes_count = link.dropped_attributes_count;
    out.flags = link.flags;
    Some(out)
}

fn attributes(pairs: Vec<common::KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

fn value(value: Option<common::AnyValue>) -> AnyValue {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(value)) => AnyValue::String(value),
        Some(any_value::Value::BoolValue(value)) => AnyValue::Bool(value),
        Some(any_value::Value::IntValue(value)) => AnyValue::Int(value),
        Some(any_value::Value::DoubleValue(value)) => AnyValue::Double(value),
        Some(any_value::Value::BytesValue(value)) => AnyValue::Bytes(value),
        Some(any_value::Value::ArrayValue(list)) => {
            AnyValue::Array(list.values.into_iter().map(|item| self::value(Some(item))).collect())
        }
        Some(any_value::Value::KvlistValue(list)) => AnyValue::Map(attributes(list.values)),
        // A reference into a table that traces don't have.
        Some(any_value::Value::StringValueStrindex(_)) | None => AnyValue::Empty,
    }
}
