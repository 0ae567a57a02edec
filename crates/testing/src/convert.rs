//! Spans of OpenTelemetry's SDK as lineage's.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value, trace};
use opentelemetry_sdk::trace::SpanData;
use throughline_lineage::{
    AnyValue, Attributes, Event, Kind, Link, Resource, Scope, Span, SpanId, Status, TraceId,
};

/// `None` for a span without an id, which no working SDK makes.
pub(crate) fn span(data: SpanData, resource: &Arc<Resource>) -> Option<Span> {
    let (trace_id, span_id) = ids(&data.span_context)?;
    let mut span = Span::new(trace_id, span_id, data.name);
    span.trace_state = data.span_context.trace_state().header();
    span.parent = SpanId::from_bytes(data.parent_span_id.to_bytes()).ok();
    span.flags = u32::from(data.span_context.trace_flags().to_u8());
    span.set_parent_is_remote(data.parent_span_is_remote);
    span.kind = Kind::from(&data.span_kind);
    span.start_time_unix_nano = nanos(data.start_time);
    span.end_time_unix_nano = nanos(data.end_time);
    span.attributes = attributes(&data.attributes);
    span.dropped_attributes_count = data.dropped_attributes_count;
    span.dropped_events_count = data.events.dropped_count;
    span.events = data.events.events.iter().map(event).collect();
    span.dropped_links_count = data.links.dropped_count;
    span.links = data.links.links.iter().filter_map(link).collect();
    span.status = match data.status {
        trace::Status::Unset => Status::Unset,
        trace::Status::Ok => Status::Ok,
        trace::Status::Error { description } => Status::Error(description.into_owned()),
    };
    span.resource = Arc::clone(resource);
    span.scope = Arc::new(scope(&data.instrumentation_scope));
    Some(span)
}

pub(crate) fn ids(context: &trace::SpanContext) -> Option<(TraceId, SpanId)> {
    let trace_id = TraceId::from_bytes(context.trace_id().to_bytes()).ok()?;
    Some((trace_id, SpanId::from_bytes(context.span_id().to_bytes()).ok()?))
}

pub(crate) fn resource(resource: &opentelemetry_sdk::Resource) -> Resource {
    let attributes = resource.iter().map(|(key, val)| (key.as_str().to_owned(), value(val)));
    Resource {
        attributes: attributes.collect(),
        dropped_attributes_count: 0,
        schema_url: resource.schema_url().unwrap_or_default().to_owned(),
    }
}

fn scope(scope: &InstrumentationScope) -> Scope {
    Scope {
        name: scope.name().to_owned(),
        version: scope.version().unwrap_or_default().to_owned(),
        attributes: scope.attributes().map(pair).collect(),
        dropped_attributes_count: 0,
        schema_url: scope.schema_url().unwrap_or_default().to_owned(),
    }
}

fn event(event: &trace::Event) -> Event {
    Event {
        time_unix_nano: nanos(event.timestamp),
        name: event.name.to_string(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn link(link: &trace::Link) -> Option<Link> {
    let (trace_id, span_id) = ids(&link.span_context)?;
    let mut out = Link::new(trace_id, span_id);
    out.trace_state = link.span_context.trace_state().header();
    out.attributes = attributes(&link.attributes);
    out.dropped_attributes_count = link.dropped_attributes_count;
    out.flags = u32::from(link.span_context.trace_flags().to_u8());
    Some(out)
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(pair).collect()
}

fn pair(pair: &KeyValue) -> (String, AnyValue) {
    (pair.key.as_str().to_owned(), value(&pair.value))
}

fn value(value: &Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Bool(*value),
        Value::I64(value) => AnyValue::Int(*value),
        Value::F64(value) => AnyValue::Double(*value),
        Value::String(value) => AnyValue::String(value.as_str().to_owned()),
        Value::Array(values) => AnyValue::Array(match values {
            Array::Bool(values) => values.iter().copied().map(AnyValue::Bool).collect(),
            Array::I64(values) => values.iter().copied().map(AnyValue::Int).collect(),
            Array::F64(values) => values.iter().copied().map(AnyValue::Double).collect(),
            Array::String(values) => {
                values.iter().map(|value| AnyValue::String(value.as_str().to_owned())).collect()
            }
            _ => Vec::new(),
        }),
        _ => AnyValue::Empty,
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
