//! Traces written by hand, in milliseconds.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as tests")]

use std::sync::Arc;

use throughline_lineage::{
    Forest, Kind, Resource, Settings, Span, SpanId, Status, TraceId, Verdict,
};

pub(crate) const MS: u64 = 1_000_000;
/// Some moment in 2026, so that times look as they do in practice.
pub(crate) const T0: u64 = 1_790_000_000_000 * MS;

pub(crate) fn trace(id: u8) -> TraceId {
    TraceId::from_bytes([id; 16]).unwrap()
}

pub(crate) fn id(id: u8) -> SpanId {
    SpanId::from_bytes([id; 8]).unwrap()
}

pub(crate) fn service(name: &str) -> Arc<Resource> {
    let attributes = [("service.name", name)].into_iter().collect();
    Arc::new(Resource { attributes, ..Resource::default() })
}

pub(crate) fn process(name: &str, pid: i64, parent_pid: i64) -> Arc<Resource> {
    let mut resource = (*service(name)).clone();
    resource.attributes.push("process.pid", pid);
    resource.attributes.push("process.parent_pid", parent_pid);
    Arc::new(resource)
}

/// Setters that read like the span they make.
pub(crate) trait Made: Sized {
    fn kind(self, kind: Kind) -> Self;
    fn under(self, parent: u8) -> Self;
    fn at(self, start: u64, end: u64) -> Self;
    fn by(self, resource: &Arc<Resource>) -> Self;
    fn with(self, key: &str, value: &str) -> Self;
    fn expecting(self) -> Self;
    fn remote(self, remote: bool) -> Self;
    fn failed(self, message: &str) -> Self;
}

impl Made for Span {
    fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
    fn under(mut self, parent: u8) -> Self {
        self.parent = Some(id(parent));
        self
    }
    fn at(mut self, start: u64, end: u64) -> Self {
        (self.start_time_unix_nano, self.end_time_unix_nano) = (T0 + start * MS, T0 + end * MS);
        self
    }
    fn by(mut self, resource: &Arc<Resource>) -> Self {
        self.resource = Arc::clone(resource);
        self
    }
    fn with(mut self, key: &str, value: &str) -> Self {
        self.attributes.push(key, value);
        self
    }
    fn expecting(mut self) -> Self {
        self.attributes.push("throughline.parent.expected", true);
        self
    }
    fn remote(mut self, remote: bool) -> Self {
        self.set_parent_is_remote(remote);
        self
    }
    fn failed(mut self, message: &str) -> Self {
        self.status = Status::Error(message.to_owned());
        self
    }
}

pub(crate) fn span(trace_id: u8, span_id: u8, name: &str) -> Span {
    Span::new(trace(trace_id), id(span_id), name).at(0, 10)
}

pub(crate) fn judge(spans: impl IntoIterator<Item = Span>) -> Verdict {
    Forest::new(spans).judge(&Settings::complete())
}

/// The names of the demo's three services and of its legs.
pub(crate) struct Names {
    pub(crate) services: [&'static str; 3],
    pub(crate) legs: [&'static str; 3],
    pub(crate) task: &'static str,
}

pub(crate) const DEMO: Names = Names {
    services: ["gateway", "orders", "fulfilment"],
    legs: ["POST /checkout", "POST /orders", "POST /reserve"],
    task: "audit",
};

/// One order through three services: two HTTP legs and a spawned task in the second service.
pub(crate) fn order(names: &Names) -> Vec<Span> {
    let [edge, middle, last] = names.services.map(service);
    let [checkout, orders, reserve] = names.legs;
    let server = |span: Span| span.kind(Kind::Server).with("http.request.method", "POST");
    let client = |span: Span| span.kind(Kind::Client).with("http.request.method", "POST");
    vec![
        server(span(1, 1, checkout)).at(0, 50).by(&edge),
        client(span(1, 2, "POST")).under(1).at(5, 45).by(&edge),
        server(span(1, 3, orders)).under(2).remote(true).at(8, 40).by(&middle),
        client(span(1, 4, "POST")).under(3).at(10, 30).by(&middle),
        server(span(1, 5, reserve)).under(4).remote(true).at(12, 28).by(&last),
        span(1, 6, names.task).under(3).remote(false).at(35, 60).by(&middle),
    ]
}

/// The order with its first leg made by a raw client: no span, no header.
pub(crate) fn broken_http(names: &Names) -> Vec<Span> {
    let mut spans = order(names);
    spans.remove(1);
    for span in &mut spans[1..] {
        span.trace_id = trace(2);
    }
    spans[1].parent = None;
    spans[1].attributes.push("throughline.parent.expected", true);
    spans
}

/// The order with its task spawned raw.
pub(crate) fn broken_spawn(names: &Names) -> Vec<Span> {
    let mut spans = order(names);
    let task = spans.last_mut().unwrap();
    (task.trace_id, task.parent) = (trace(2), None);
    spans
}
