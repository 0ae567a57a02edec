//! What only some layers are told: all of it apart, so that the others pay for one look.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use opentelemetry::trace::TraceContextExt;
use throughline_core::http::{Captured, Rewrite};
use throughline_core::{Boundary, BoundarySpan, semconv};

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

/// See the setters of the layers, of which a client's has fewer.
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
    /// The query of a request that came in, the URL of one that goes out.
    pub(super) rewrite: Option<Arc<Rewrite>>,
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
            self.response_headers.tell(prefix, response.headers(), span);
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
