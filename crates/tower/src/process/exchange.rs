//! How an exchange ends, of each kind: what its response says, and where.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;
use throughline_core::http::Route;
use throughline_core::metrics::{Measure, Operation};
use throughline_core::rpc::{self, Code, Side};
use throughline_core::{BoundarySpan, End, Failure, semconv};

use super::More;

/// What a span is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exchange {
    /// An HTTP request that came in.
    Served { is_head: bool },
    /// An HTTP request that goes out. Its span ends with the head of the response, or with its body.
    Sent { ends_with_body: bool, is_head: bool },
    /// A gRPC call that came in, of a method that there is, as far as is known by then.
    Answered { is_known: bool },
    /// A gRPC call that goes out.
    Called,
}

/// What a body has still to tell of its exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// How many bytes are left of a body whose length is known, else [`UNKNOWN`].
    pub(super) left: u64,
    pub(super) status: StatusCode,
    pub(super) exchange: Exchange,
}

pub(super) const UNKNOWN: u64 = u64::MAX;

impl Exchange {
    #[inline]
    pub(super) fn is_rpc(self) -> bool {
        matches!(self, Exchange::Answered { .. } | Exchange::Called)
    }

    #[inline]
    pub(super) fn is_client(self) -> bool {
        matches!(self, Exchange::Sent { .. } | Exchange::Called)
    }

    /// Tells the span what the handler has left with the response of its error.
    #[cold]
    fn tell_why<B>(self, response: &Response<B>, span: &BoundarySpan) {
        if let Some(failure) = response.extensions().get::<Failure>()
            && !self.is_client()
        {
            span.fail_as(failure);
        }
    }

    /// What it is of once its response is there: whoever asks for a call where there are none gets
    /// an answer of HTTP, and is told of as any other request. A method that there is stays one,
    /// whoever answers for it.
    #[inline]
    fn once_answered<B>(self, response: &Response<B>) -> Self {
        match self {
            Exchange::Answered { is_known: false } if !is_grpc(response.headers()) => {
                Exchange::Served { is_head: false }
            }
            _ => self,
        }
    }

    /// Tells the span what the head of a response says, and ends it if that is all there will be.
    #[inline]
    pub(crate) fn answered<B: Body>(self, response: &Response<B>, span: &mut BoundarySpan) -> Rest {
        let exchange = self.once_answered(response);
        let left = match exchange {
            _ if !span.is_observed() => {
                if response.status().is_server_error() {
                    exchange.tell_why(response, span);
                }
                UNKNOWN
            }
            Exchange::Served { is_head } => exchange.told(response, is_head, span),
            _ => exchange.answered_otherwise(response, span),
        };
        Rest { left, status: response.status(), exchange }
    }

    #[inline(never)]
    fn answered_otherwise<B: Body>(self, response: &Response<B>, span: &mut BoundarySpan) -> u64 {
        let status = response.status();
        match self {
            Exchange::Served { is_head } => self.told(response, is_head, span),
            Exchange::Sent { ends_with_body, is_head } => {
                let version = throughline_core::http::protocol_version(response.version());
                span.tell(semconv::NETWORK_PROTOCOL_VERSION, version);
                let left = self.told(response, is_head, span);
                if !ends_with_body {
                    span.finish(end_of(status, self));
                }
                left
            }
            Exchange::Answered { .. } | Exchange::Called => {
                // A proxy that answers itself, or a layer, knows no gRPC. This is what a client makes
                // of it.
                let of_proxy = || {
                    let is_of_http = match self {
                        Exchange::Called => status != StatusCode::OK,
                        _ => !is_grpc(response.headers()),
                    };
                    is_of_http.then(|| Code::of_http(status))
                };
                let code = Code::of(response.headers()).or_else(of_proxy);
                if code.is_some_and(|code| code != Code::Ok) {
                    self.tell_why(response, span);
                }
                if code.is_some() || response.body().is_end_stream() {
                    let code = code.unwrap_or(Code::Unknown);
                    graded(code, self, Some(response.headers()), span);
                }
                UNKNOWN
            }
        }
    }

    /// Tells the status, and ends the span of a response without a body. The length of the body.
    // Always, though it is called from two places: one of them is where every request comes by.
    #[inline(always)]
    fn told<B: Body>(self, response: &Response<B>, is_head: bool, span: &mut BoundarySpan) -> u64 {
        let status = response.status();
        let exact = response.body().size_hint().exact();
        span.set_attribute(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        if let Some(measure) = span.measure() {
            self.measure_head(response, measure);
        }
        // A body that has something to come needn't be asked whether it is at its end.
        let is_over = || exact.is_none_or(|left| left == 0) && response.body().is_end_stream();
        if status.is_server_error() {
            self.tell_why(response, span);
        }
        if is_head || has_no_body(status) || is_over() {
            // Nobody polls such a body: its drop must not look like a caller who left.
            span.finish(end_of(status, self));
        }
        exact.or_else(|| content_length(response.headers())).unwrap_or(UNKNOWN)
    }
}

impl Exchange {
    #[cold]
    fn measure_head<B: Body>(self, response: &Response<B>, measure: &Measure) {
        let status = i64::from(response.status().as_u16());
        measure.tell(semconv::HTTP_RESPONSE_STATUS_CODE, status);
        match self {
            Exchange::Sent { ends_with_body: false, .. } => {
                let exact = response.body().size_hint().exact();
                measure.response_size(exact.or_else(|| content_length(response.headers())));
            }
            _ => measure.start_counting(),
        }
    }
}

/// What is rarely to be done with a response.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub(super) more: Option<Arc<More>>,
    pub(super) asked: Option<Asked>,
}

/// A call whose method isn't known yet, and which may be none.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) path: Box<str>,
    /// Whether the methods that there are were listed, and this isn't one of them.
    pub(super) is_listed: bool,
    pub(super) scheme: &'static str,
    pub(super) version: &'static str,
    pub(super) route: Option<Route>,
}

impl Asked {
    fn answered<B>(self, response: &Response<B>, span: &BoundarySpan) {
        let headers = response.headers();
        if !is_grpc(headers) {
            return self.was_http(span);
        }
        match Code::of(headers).is_none_or(Code::is_of_method) && !self.is_listed {
            true => rpc::told(rpc::keep(&self.path, Side::Server), span),
            false => rpc::untold(&self.path, span),
        }
    }

    /// Nobody here knows calls: it was a request as any other.
    fn was_http(self, span: &BoundarySpan) {
        if let Some(measure) = span.measure() {
            measure.becomes(Operation::HttpServer);
            measure.tell(semconv::NETWORK_PROTOCOL_VERSION, self.version);
        }
        span.tell(semconv::HTTP_REQUEST_METHOD, "POST");
        span.set_attribute(semconv::URL_PATH, String::from(self.path));
        span.tell(semconv::URL_SCHEME, self.scheme);
        match self.route {
            Some(Route { name, route }) => {
                // Somebody may take paths for routes: only those of a router are few.
                if let (Cow::Borrowed(_), Some(measure)) = (&name, span.measure()) {
                    measure.tell(semconv::HTTP_ROUTE, route.clone());
                }
                span.set_name(name);
                span.set_attribute(semconv::HTTP_ROUTE, route);
            }
            None => span.set_name("POST"),
        }
    }
}

impl Aside {
    pub(super) fn of(more: &Arc<More>) -> Self {
        Aside { more: Some(Arc::clone(more)), asked: None }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn on_head<B>(
        self,
        exchange: Exchange,
        mut response: Response<B>,
        span: &mut BoundarySpan,
    ) -> Response<B> {
        let Aside { more, asked } = self;
        if let Some(asked) = asked {
            asked.answered(&response, span);
        }
        if let Some(more) = more {
            let is_rpc = exchange.once_answered(&response).is_rpc();
            // In the span, which is told of a panic in a hook.
            let entered = span.entered();
            more.on_head(&mut response, span, is_rpc);
            span.exit(entered);
        }
        response
    }

    /// There is no answer.
    #[cold]
    pub(super) fn left(self, span: &BoundarySpan) {
        if let Some(asked) = self.asked {
            rpc::untold(&asked.path, span);
        }
    }
}

/// Ends the span of a call. Its message stands where its status does.
pub(super) fn graded(
    code: Code,
    exchange: Exchange,
    headers: Option<&HeaderMap>,
    span: &mut BoundarySpan,
) {
    if span.is_observed() {
        rpc::tell_code(code, span);
        span.finish(code.end(exchange.is_client(), headers));
    }
}

/// Says so of a call that nobody waits for any longer.
#[cold]
pub(super) fn abandoned(span: &BoundarySpan) {
    if !span.has_panicked() {
        rpc::tell_code(Code::Cancelled, span);
    }
}

/// Whether the body is one of gRPC. Not of gRPC-Web, whose trailers are a part of it.
#[inline(never)]
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// What the head promises of a body that doesn't know its own length, as a proxy's doesn't.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[inline]
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How a response of this status ends once its body is through. To a client a status of 400 is an
/// error as well.
#[inline(always)]
pub(super) fn end_of(status: StatusCode, exchange: Exchange) -> End {
    if status.is_server_error() || exchange.is_client() && status.is_client_error() {
        failed(status)
    } else {
        End::Completed
    }
}

#[cold]
fn failed(status: StatusCode) -> End {
    End::failed(status.as_str().to_owned())
}
