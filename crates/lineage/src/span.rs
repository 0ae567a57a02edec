//! A span as it was received, and what it came with.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use throughline_core::root::{Facts, Kind};
use throughline_core::semconv;

use crate::id::{SpanId, TraceId};
use crate::value::Attributes;
use crate::wire;

/// Set in [`Span::flags`] when the sender knew whether the parent was remote.
const HAS_IS_REMOTE: u32 = 0x100;
/// Set in [`Span::flags`] when the parent was remote.
const IS_REMOTE: u32 = 0x200;

/// One span.
///
/// Its serde form is that of OTLP JSON, where resource and scope stand around the spans and not
/// in them: [`write`](crate::otlp::write) and [`Reader`](crate::otlp::Reader) keep them together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The `tracestate` it was started with.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// The span it was started under; `None` for a root.
    #[serde(rename = "parentSpanId", default, deserialize_with = "wire::parent")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// The trace flags in the low byte, above them whether the parent was remote.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub flags: u32,
    /// Its name.
    #[serde(default, deserialize_with = "wire::or_default")]
    pub name: String,
    /// Its kind.
    #[serde(default, with = "wire::kind")]
    pub kind: Kind,
    /// When it started, in nanoseconds since 1970.
    #[serde(default, with = "wire::nanos")]
    pub start_time_unix_nano: u64,
    /// When it ended, in nanoseconds since 1970.
    #[serde(default, with = "wire::nanos")]
    pub end_time_unix_nano: u64,
    /// What it tells about itself.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_attributes_count: u32,
    /// What happened during it.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// How many events its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_events_count: u32,
    /// The spans it has to do with, without being their child.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// How many links its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[serde(default, deserialize_with = "wire::or_default")]
    pub status: Status,
    /// Who sent it.
    #[serde(skip)]
    pub resource: Arc<Resource>,
    /// The library that made it.
    #[serde(skip)]
    pub scope: Arc<Scope>,
}

impl Span {
    /// A root with these ids and this name, internal, at the beginning of time; the fields are
    /// there to be set.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, name: impl Into<String>) -> Self {
        Self {
            trace_id,
            span_id,
            trace_state: String::new(),
            parent: None,
            flags: 0,
            name: name.into(),
            kind: Kind::Internal,
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            attributes: Attributes::default(),
            dropped_attributes_count: 0,
            events: Vec::new(),
            dropped_events_count: 0,
            links: Vec::new(),
            dropped_links_count: 0,
            status: Status::Unset,
            resource: Arc::default(),
            scope: Arc::default(),
        }
    }

    /// Whether the parent was in another process; `None` if the sender did not say.
    #[must_use]
    pub fn parent_is_remote(&self) -> Option<bool> {
        (self.flags & HAS_IS_REMOTE != 0).then_some(self.flags & IS_REMOTE != 0)
    }

    /// Says whether the parent was in another process.
    pub fn set_parent_is_remote(&mut self, remote: bool) {
        self.flags |= HAS_IS_REMOTE;
        self.flags = if remote { self.flags | IS_REMOTE } else { self.flags & !IS_REMOTE };
    }

    /// How long it took; nothing if its clock ran backwards.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_time_unix_nano.saturating_sub(self.start_time_unix_nano))
    }

    /// The name of the service that sent it, as far as the service told.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.resource.attributes.get_str(semconv::SERVICE_NAME)
    }

    /// What the judgement of roots looks at.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts::new(self.kind, self.attributes.iter().map(|(name, value)| (name, value.into())))
    }
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it happened, in nanoseconds since 1970.
    #[serde(default, with = "wire::nanos")]
    pub time_unix_nano: u64,
    /// What it is called.
    #[serde(default, deserialize_with = "wire::or_default")]
    pub name: String,
    /// What it tells.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_attributes_count: u32,
}

/// A pointer to another span, of the same trace or of another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// The trace of the other span.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// The `tracestate` that came with it.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// What the link tells.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_attributes_count: u32,
    /// The other span's flags.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub flags: u32,
}

impl Link {
    /// A link to this span, without attributes.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self {
            trace_id,
            span_id,
            trace_state: String::new(),
            attributes: Attributes::default(),
            dropped_attributes_count: 0,
            flags: 0,
        }
    }
}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    #[default]
    Unset,
    /// Somebody declared it a success.
    Ok,
    /// It failed, for this reason.
    Error(String),
}

#[derive(Serialize, Deserialize)]
struct WireStatus {
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, deserialize_with = "wire::status_code")]
    #[serde(skip_serializing_if = "is_unset")]
    code: u8,
}

fn is_unset(code: &u8) -> bool {
    *code == 0
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (code, message) = match self {
            Self::Unset => (0, ""),
            Self::Ok => (1, ""),
            Self::Error(message) => (2, message.as_str()),
        };
        WireStatus { message: message.to_owned(), code }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireStatus { message, code } = WireStatus::deserialize(deserializer)?;
        Ok(match code {
            2 => Self::Error(message),
            1 => Self::Ok,
            _ => Self::Unset,
        })
    }
}

/// Who sends spans: a service, on a host, in a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What it tells about itself.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_attributes_count: u32,
    /// The schema its attributes follow; written beside the resource, not in it.
    #[serde(skip)]
    pub schema_url: String,
}

/// The library that made a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Its name.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What it tells about itself.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender had no room for.
    #[serde(default, deserialize_with = "wire::integer", skip_serializing_if = "wire::is_zero")]
    pub dropped_attributes_count: u32,
    /// The schema its spans' attributes follow; written beside the scope, not in it.
    #[serde(skip)]
    pub schema_url: String,
}
