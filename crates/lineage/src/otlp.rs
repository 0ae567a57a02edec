//! OTLP JSON lines, as the Collector's file exporter writes them (`format: json`): one
//! `ExportTraceServiceRequest` a line.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::span::{Resource, Scope, Span};
use crate::wire;

/// Why spans could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed.
    #[error("line {line} could not be read: {source}")]
    Io {
        /// The line, counted from 1.
        line: usize,
        /// What went wrong.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error(
        "line {line}, column {column}: {reason}; each line has to be one ExportTraceServiceRequest, as the Collector's file exporter writes it with `format: json`"
    )]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// The byte of the line at which reading stopped, counted from 1.
        column: usize,
        /// What is wrong there, and with which value.
        reason: String,
    },
    /// A line holds another signal.
    #[error("line {line} holds {signal}, not traces; give the file that traces are written to")]
    NotTraces {
        /// The line, counted from 1.
        line: usize,
        /// What it holds.
        signal: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default, deserialize_with = "wire::or_default")]
    resource_spans: Vec<ResourceSpans>,
    resource_metrics: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    #[serde(default, deserialize_with = "wire::or_default")]
    resource: Resource,
    #[serde(default, deserialize_with = "wire::or_default")]
    scope_spans: Vec<ScopeSpans>,
    #[serde(default, deserialize_with = "wire::or_default")]
    schema_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans {
    #[serde(default, deserialize_with = "wire::or_default")]
    scope: Scope,
    #[serde(default, deserialize_with = "wire::or_default")]
    spans: Vec<Span>,
    #[serde(default, deserialize_with = "wire::or_default")]
    schema_url: String,
}

/// Reads the spans of every line.
///
/// # Errors
/// At the first line that cannot be read or is malformed. A file whose writer was killed ends in
/// half a line: a [`Reader`] lets its user decide what that is worth.
pub fn read(input: impl BufRead) -> Result<Vec<Span>, ReadError> {
    let mut spans = Vec::new();
    for line in Reader::new(input) {
        spans.extend(line?);
    }
    Ok(spans)
}

/// The lines of a file, each with its spans. It goes on after a malformed line.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: usize,
    text: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads lines from here.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, text: Vec::new(), failed: false }
    }

    fn parse(&self) -> Result<Vec<Span>, ReadError> {
        let line = self.line;
        let text = self.text.trim_ascii_end();
        if !text.trim_ascii_start().starts_with(b"{") {
            // The parser would take an array for an object whose names were left out.
            let reason = "it does not begin with `{`".to_owned();
            return Err(ReadError::Malformed { line, column: 1, reason });
        }
        let request: Request =
            serde_json::from_slice(text).map_err(|error| malformed(line, &error))?;
        let signal = if request.resource_metrics.is_some() {
            Some("metrics")
        } else if request.resource_logs.is_some() {
            Some("logs")
        } else {
            None
        };
        if let Some(signal) = signal {
            return Err(ReadError::NotTraces { line, signal });
        }
        Ok(flatten(request))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Vec<Span>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            self.line += 1;
            self.text.clear();
            match self.input.read_until(b'\n', &mut self.text) {
                Ok(0) => return None,
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.parse()),
                Err(source) => {
                    // An input that failed may fail for ever: this is the last item.
                    self.failed = true;
                    return Some(Err(ReadError::Io { line: self.line, source }));
                }
            }
        }
        None
    }
}

fn malformed(line: usize, error: &serde_json::Error) -> ReadError {
    let text = error.to_string();
    // The parser sees one line at a time, so its own position would name line 1.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&position).unwrap_or(&text).to_owned();
    ReadError::Malformed { line, column: error.column(), reason }
}

fn flatten(request: Request) -> Vec<Span> {
    let mut all = Vec::new();
    for ResourceSpans { mut resource, scope_spans, schema_url } in request.resource_spans {
        resource.schema_url = schema_url;
        let resource = Arc::new(resource);
        for ScopeSpans { mut scope, spans, schema_url } in scope_spans {
            scope.schema_url = schema_url;
            let scope = Arc::new(scope);
            all.extend(spans.into_iter().map(|span| Span {
                resource: Arc::clone(&resource),
                scope: Arc::clone(&scope),
                ..span
            }));
        }
    }
    all
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestOut<'a> {
    resource_spans: Vec<ResourceSpansOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpansOut<'a> {
    resource: &'a Resource,
    scope_spans: Vec<ScopeSpansOut<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    schema_url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpansOut<'a> {
    scope: &'a Scope,
    spans: Vec<&'a Span>,
    #[serde(skip_serializing_if = "str::is_empty")]
    schema_url: &'a str,
}

/// Writes the spans as one line, in their order, and flushes.
///
/// Neighbours of one resource and scope share it, as the Collector groups them; without spans
/// nothing is written.
///
/// # Errors
/// When the output fails.
pub fn write<'a>(
    mut output: impl Write,
    spans: impl IntoIterator<Item = &'a Span>,
) -> io::Result<()> {
    let mut resource_spans: Vec<ResourceSpansOut<'a>> = Vec::new();
    for span in spans {
        if resource_spans.last().is_none_or(|last| *last.resource != *span.resource) {
            resource_spans.push(ResourceSpansOut {
                resource: &span.resource,
                scope_spans: Vec::new(),
                schema_url: &span.resource.schema_url,
            });
        }
        let Some(ResourceSpansOut { scope_spans, .. }) = resource_spans.last_mut() else {
            continue;
        };
        match scope_spans.last_mut() {
            Some(last) if *last.scope == *span.scope => last.spans.push(span),
            _ => scope_spans.push(ScopeSpansOut {
                scope: &span.scope,
                spans: vec![span],
                schema_url: &span.scope.schema_url,
            }),
        }
    }
    if !resource_spans.is_empty() {
        serde_json::to_writer(&mut output, &RequestOut { resource_spans })?;
        output.write_all(b"\n")?;
    }
    output.flush()
}
