//! Traces and verdicts for programs.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use throughline_core::root::Class;

use crate::forest::{Node, Top, Trace};
use crate::id::{SpanId, TraceId};
use crate::span::Status;
use crate::verdict::Answer;

/// `trace_id`, `start_unix_nano` (a string, since JSON's numbers are doubles to most readers),
/// `duration_nano`, `services`, the ids of the `slowest` span and of the `deepest_failure`, and
/// `spans`: a flat list, parents first, since a trace may be nested deeper than readers are.
impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let start = self.start_time_unix_nano();
        let id = |node: Node<'_>| node.span().span_id;
        let mut out = serializer.serialize_struct("Trace", 7)?;
        out.serialize_field("trace_id", &self.id())?;
        out.serialize_field("start_unix_nano", &start.to_string())?;
        out.serialize_field("duration_nano", &self.end_time_unix_nano().saturating_sub(start))?;
        out.serialize_field("services", &self.services())?;
        out.serialize_field("slowest", &self.slowest().map(id))?;
        out.serialize_field("deepest_failure", &self.deepest_failure().map(id))?;
        out.serialize_field(
            "spans",
            &self.nodes().map(|node| SpanOut::new(start, node)).collect::<Vec<_>>(),
        )?;
        out.end()
    }
}

#[derive(Serialize)]
struct SpanOut<'a> {
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    parent_missing: bool,
    depth: usize,
    service: Option<&'a str>,
    name: &'a str,
    kind: &'static str,
    offset_nano: i64,
    duration_nano: u64,
    self_nano: u64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkOut>,
}

#[derive(Serialize)]
struct LinkOut {
    trace_id: TraceId,
    span_id: SpanId,
}

impl<'a> SpanOut<'a> {
    fn new(start: u64, node: Node<'a>) -> Self {
        let span = node.span();
        let (status, error) = match &span.status {
            Status::Unset => ("unset", None),
            Status::Ok => ("ok", None),
            Status::Error(message) => ("error", Some(message.as_str())),
        };
        let nanos =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            span_id: span.span_id,
            parent_span_id: span.parent,
            parent_missing: matches!(node.top(), Some(Top::ParentMissing(_))),
            depth: node.depth(),
            service: span.service(),
            name: &span.name,
            kind: span.kind.as_str(),
            // Negative where a span seems to start before the root, by another host's clock.
            offset_nano: span.start_time_unix_nano.wrapping_sub(start).cast_signed(),
            duration_nano: nanos(span.duration()),
            self_nano: nanos(node.self_time()),
            status,
            error,
            links: span
                .links
                .iter()
                .map(|link| LinkOut { trace_id: link.trace_id, span_id: link.span_id })
                .collect(),
        }
    }
}

pub(crate) fn class<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.as_str())
}

pub(crate) fn by_class<S: Serializer>(
    numbers: &BTreeMap<Class, usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(numbers.iter().map(|(class, number)| (class.as_str(), number)))
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
