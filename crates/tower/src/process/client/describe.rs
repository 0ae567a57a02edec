//! The attributes of a client span, as the semantic conventions for HTTP and gRPC name them.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Request, Uri};
use throughline_core::http::{Host, UrlTemplate, describe_sent, host};
use throughline_core::rpc::{self, Side};
use throughline_core::{Description, semconv};

use super::layer::Target;
use crate::process::More;
use crate::process::describe::is_call;
use crate::process::exchange::Exchange;

/// Room for the attributes below, and for those at the end.
const CAPACITY: usize = 9;

pub(super) fn describe<B>(
    request: &Request<B>,
    target: Option<&Target>,
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
) -> Description {
    let uri = request.uri();
    let (mut span, prefix) = if is_call(request) {
        *exchange = Exchange::Called;
        (of_call(uri.path(), more), semconv::RPC_REQUEST_HEADER)
    } else {
        (of_request(request, target, more), semconv::HTTP_REQUEST_HEADER)
    };
    if let Some(host) = server(uri).or_else(|| target.map(|target| target.host.clone())) {
        span.set_server(host);
    }
    if let Some(more) = more {
        more.request_headers.describe(prefix, request.headers(), &mut span);
    }
    span
}

/// Which methods a client calls is written in its program, but for a proxy's.
pub(super) fn called(path: &str, more: Option<&Arc<More>>) -> Option<Cow<'static, str>> {
    let listed = more.and_then(|more| more.methods.as_ref());
    let is_told = listed.is_none_or(|listed| listed.contains(rpc::called(path)));
    is_told.then(|| rpc::keep(path, Side::Client))
}

fn of_call(path: &str, more: Option<&Arc<More>>) -> Description {
    match called(path, more) {
        Some(method) => rpc::describe(Some(method), CAPACITY),
        None => rpc::describe_other(path, CAPACITY),
    }
}

fn of_request<B>(
    request: &Request<B>,
    target: Option<&Target>,
    more: Option<&Arc<More>>,
) -> Description {
    let template = request.extensions().get::<UrlTemplate>();
    let rewrite = more.and_then(|more| more.rewrite.as_deref());
    describe_sent(request.method(), &full(request.uri(), target), template, rewrite, CAPACITY)
}

/// A client of one host may leave that out of its URIs.
fn full(uri: &Uri, target: Option<&Target>) -> String {
    match (uri.host(), target) {
        (None, Some(Target { origin, .. })) => format!("{origin}{uri}"),
        _ => uri.to_string(),
    }
}

pub(super) fn server(uri: &Uri) -> Option<Host> {
    let found = host(uri.host()?.as_bytes())?;
    let port = uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    Some(Host { port, ..found })
}
