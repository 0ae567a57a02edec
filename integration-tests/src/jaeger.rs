//! What Jaeger has, as its query API tells it: spans for the judge.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use throughline_testing::lineage::{AnyValue, Kind, Link, Resource, Span, Status};

/// Jaeger can't be asked, or answers something else.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It doesn't answer.
    #[error("Jaeger doesn't answer: {0}")]
    Http(#[from] reqwest::Error),
    /// What it answers isn't a trace.
    #[error("Jaeger answers what is no trace: {0}")]
    Answer(String),
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Vec<Trace>,
}

#[derive(Debug, Deserialize)]
struct Trace {
    spans: Vec<JaegerSpan>,
    processes: HashMap<String, Process>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    references: Vec<Reference>,
    /// In microseconds.
    start_time: u64,
    duration: u64,
    tags: Vec<Tag>,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    value: serde_json::Value,
}

/// The spans of every trace that a service has a part in, the newest 1,000 traces.
///
/// # Errors
///
/// When Jaeger doesn't answer, or answers something else.
pub async fn spans(query: &str, service: &str) -> Result<Vec<Span>, Error> {
    let url = format!("{query}/api/traces?service={service}&limit=1000&lookback=1h");
    #[expect(clippy::disallowed_methods, reason = "a question about traces is of none")]
    let answer = reqwest::Client::builder().no_proxy().build()?.get(url).send().await?;
    let text = answer.error_for_status()?.text().await?;
    read(&text)
}

/// Reads an answer of `/api/traces`.
///
/// # Errors
///
/// When it isn't one.
pub fn read(text: &str) -> Result<Vec<Span>, Error> {
    let answer: Answer =
        serde_json::from_str(text).map_err(|error| Error::Answer(error.to_string()))?;
    let mut spans = Vec::new();
    for trace in answer.data {
        let resources: HashMap<_, _> = trace
            .processes
            .into_iter()
            .map(|(id, process)| {
                let mut resource = Resource::default();
                resource.attributes.push("service.name", process.service_name);
                (id, Arc::new(resource))
            })
            .collect();
        for span in trace.spans {
            spans.push(span.read(&resources)?);
        }
    }
    Ok(spans)
}

impl JaegerSpan {
    fn read(self, resources: &HashMap<String, Arc<Resource>>) -> Result<Span, Error> {
        let no_id = |id: &str| Error::Answer(format!("`{id}` is no id"));
        let id = |id: &str| id.parse().map_err(|_| no_id(id));
        let trace_id = self.trace_id.parse().map_err(|_| no_id(&self.trace_id))?;
        let mut span = Span::new(trace_id, id(&self.span_id)?, self.operation_name);
        // A reference to another trace is a link, whatever it is called.
        let parents = self.references.iter().filter(|reference| {
            reference.ref_type == "CHILD_OF" && reference.trace_id == self.trace_id
        });
        span.parent = parents.map(|parent| id(&parent.span_id)).next().transpose()?;
        let others = self.references.iter().filter(|other| other.trace_id != self.trace_id);
        for Reference { trace_id, span_id, .. } in others {
            let trace_id = trace_id.parse().map_err(|_| no_id(trace_id))?;
            span.links.push(Link::new(trace_id, id(span_id)?));
        }
        span.start_time_unix_nano = self.start_time * 1_000;
        span.end_time_unix_nano = (self.start_time + self.duration) * 1_000;
        span.resource = resources.get(&self.process_id).cloned().unwrap_or_default();
        for Tag { key, value } in self.tags {
            match (key.as_str(), &value) {
                ("span.kind", serde_json::Value::String(kind)) => {
                    span.kind = match kind.as_str() {
                        "server" => Kind::Server,
                        "client" => Kind::Client,
                        "producer" => Kind::Producer,
                        "consumer" => Kind::Consumer,
                        _ => Kind::Internal,
                    };
                }
                ("error", serde_json::Value::Bool(true)) => {
                    span.status = Status::Error(String::new());
                }
                (_, serde_json::Value::String(text)) => {
                    span.attributes.push(key, AnyValue::from(text.as_str()));
                }
                (_, serde_json::Value::Bool(value)) => {
                    span.attributes.push(key, AnyValue::Bool(*value));
                }
                (_, serde_json::Value::Number(number)) if number.is_i64() => {
                    span.attributes.push(key, AnyValue::from(number.as_i64().unwrap_or_default()));
                }
                _ => {}
            }
        }
        Ok(span)
    }
}
