//! The line for machines.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::Line;
use super::fields::{Fields, SpanFields, parse};
use super::ids::{self, Current};

#[derive(Serialize)]
struct Object<'a> {
    timestamp: &'a str,
    level: &'a str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(rename = "service.name", skip_serializing_if = "Option::is_none")]
    service_name: Option<&'a str>,
    #[serde(flatten)]
    ids: Option<Ids>,
    #[serde(rename = "http.request.method", skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(rename = "http.route", skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    baggage: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Ids {
    trace_id: String,
    span_id: String,
    trace_flags: String,
}

#[derive(Serialize)]
struct Span<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

pub(super) fn write<S>(
    line: &Line,
    cx: &FmtContext<'_, S, SpanFields>,
    mut writer: Writer<'_>,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut timestamp = String::new();
    SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
    let Fields(mut fields) = Fields::of(event);
    let Current { span, request, baggage } = ids::current(event, &line.baggage_keys);
    let ids = span.map(|span| Ids {
        trace_id: span.trace_id().to_string(),
        span_id: span.span_id().to_string(),
        trace_flags: format!("{:02x}", span.trace_flags()),
    });
    let spans = cx.event_scope().into_iter().flat_map(Scope::from_root);
    let object = Object {
        timestamp: &timestamp,
        level: event.metadata().level().as_str(),
        target: event.metadata().target(),
        message: fields.remove("message"),
        service_name: line.service_name.as_deref(),
        ids,
        method: request.as_ref().map(|request| request.method),
        route: request.as_ref().and_then(|request| request.route.as_deref()),
        baggage,
        fields,
        spans: spans
            .map(|span| Span {
                name: span.metadata().name(),
                fields: span
                    .extensions()
                    .get::<FormattedFields<SpanFields>>()
                    .map(parse)
                    .unwrap_or_default(),
            })
            .collect(),
    };
    let line = serde_json::to_string(&object).map_err(|_| fmt::Error)?;
    writeln!(writer, "{line}")
}
