//! What only some layers are told: all of it apart, so that the others pay for one look.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Array, Key, StringValue, Value};
use throughline_core::http::is_secret_header;
use throughline_core::semconv::{self, replaced};
use throughline_core::{Boundary, BoundarySpan, Description, stability};

use super::Framework;
use super::settings::{Decides, RequestInfo};

/// A response, as far as it is known when its head is.
#[derive(Clone, Copy)]
pub struct ResponseInfo<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> ResponseInfo<'a> {
    /// Its status. Of a gRPC call that came this far it is 200.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What the handler has left with it.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for ResponseInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseInfo").field("status", &self.status).finish_non_exhaustive()
    }
}

type OnRequest = Arc<dyn Fn(&Boundary, &RequestInfo<'_>) + Send + Sync>;
type OnResponse = Arc<dyn Fn(&Boundary, &ResponseInfo<'_>) + Send + Sync>;

/// See the setters of the layer.
#[derive(Clone, Default)]
pub(crate) struct More {
    pub(super) filter: Option<Decides<bool>>,
    pub(super) request_headers: Captured,
    pub(super) response_headers: Captured,
    pub(super) on_request: Option<OnRequest>,
    pub(super) on_response: Option<OnResponse>,
    pub(super) trace_id_header: Option<HeaderName>,
    pub(super) trusted_proxies: usize,
    pub(super) methods: Option<HashSet<String>>,
}

impl fmt::Debug for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("More")
            .field("request_headers", &self.request_headers)
            .field("response_headers", &self.response_headers)
            .finish_non_exhaustive()
    }
}

impl More {
    pub(super) fn leaves_out<F: Framework, B>(&self, request: &Request<B>) -> bool {
        self.filter.as_ref().is_some_and(|filter| !filter(&RequestInfo::new::<F, B>(request)))
    }

    pub(super) fn on_request(&self, span: &BoundarySpan, request: &RequestInfo<'_>) {
        if let (Some(on_request), Some(handle)) = (&self.on_request, recorded(span)) {
            on_request(&handle, request);
        }
    }

    pub(super) fn on_head<B>(&self, response: &mut Response<B>, span: &BoundarySpan, rpc: bool) {
        if span.is_recording() {
            let prefix =
                if rpc { semconv::RPC_RESPONSE_HEADER } else { semconv::HTTP_RESPONSE_HEADER };
            for prefix in prefixes(prefix) {
                for (key, value) in self.response_headers.of(prefix, response.headers()) {
                    span.add(key, value);
                }
            }
        }
        if let (Some(on_response), Some(handle)) = (&self.on_response, recorded(span)) {
            let (status, headers) = (response.status(), response.headers());
            let info = ResponseInfo { status, headers, extensions: response.extensions() };
            on_response(&handle, &info);
        }
        if let Some(name) = &self.trace_id_header {
            let span = span.context().span();
            let id = span.span_context().trace_id();
            // Hex digits. A head that is full does without.
            if let (true, Ok(id)) =
                (span.span_context().is_valid(), HeaderValue::from_str(&id.to_string()))
            {
                drop(response.headers_mut().try_insert(name, id));
            }
        }
    }
}

fn recorded(span: &BoundarySpan) -> Option<Boundary> {
    if span.is_recording() { span.handle() } else { None }
}

/// What the names of headers are appended to, the older one too where that is wanted.
fn prefixes(prefix: &'static str) -> impl Iterator<Item = &'static str> {
    let older = match prefix {
        semconv::RPC_REQUEST_HEADER => Some(replaced::RPC_REQUEST_METADATA),
        semconv::RPC_RESPONSE_HEADER => Some(replaced::RPC_RESPONSE_METADATA),
        _ => None,
    };
    std::iter::once(prefix).chain(older.filter(|_| stability::tells_old_rpc()))
}

/// Headers that are recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured(Vec<HeaderName>);

impl Captured {
    pub(super) fn allow(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            if is_secret_header(&name) {
                tracing::warn!(
                    target: "throughline",
                    "the header {name} is not recorded: it holds what nobody may read in a trace"
                );
            } else if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }

    pub(super) fn describe(
        &self,
        prefix: &'static str,
        headers: &HeaderMap,
        span: &mut Description,
    ) {
        for prefix in prefixes(prefix) {
            for (key, value) in self.of(prefix, headers) {
                span.add(key, value);
            }
        }
    }

    fn of<'a>(
        &'a self,
        prefix: &'a str,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = (Key, Value)> + 'a {
        self.0.iter().filter_map(move |name| {
            // A program may mark as sensitive what its name doesn't show.
            let values = headers.get_all(name).iter().filter(|value| !value.is_sensitive());
            let values = values.map(|value| {
                StringValue::from(String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            let values: Vec<_> = values.collect();
            let key = || Key::from(format!("{prefix}.{name}"));
            (!values.is_empty()).then(|| (key(), Value::Array(Array::String(values))))
        })
    }
}
