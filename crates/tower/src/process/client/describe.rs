//! The attributes of a client span, as the semantic conventions for HTTP and gRPC name them.

use std::borrow::Cow;

use http::{Request, Uri};
use throughline_core::http::{Host, UrlTemplate, host, method, redact_url, route};

use super::layer::Target;
use throughline_core::rpc::{self, Side};
use throughline_core::{Description, semconv};

use crate::process::describe::is_call;
use crate::process::exchange::Exchange;

/// Room for the attributes below, and for those at the end.
const CAPACITY: usize = 9;

pub(super) fn describe<B>(
    request: &Request<B>,
    target: Option<&Target>,
    exchange: &mut Exchange,
) -> Description {
    let uri = request.uri();
    let mut span = if is_call(request) {
        *exchange = Exchange::Called;
        // Which methods a client calls is written in its program.
        rpc::describe(Some(rpc::keep(uri.path(), Side::Client)), CAPACITY)
    } else {
        of_request(request, target)
    };
    if let Some(Host { address, port }) =
        server(uri).or_else(|| target.map(|target| target.host.clone()))
    {
        span.set(semconv::SERVER_ADDRESS, address);
        if let Some(port) = port {
            span.set(semconv::SERVER_PORT, i64::from(port));
        }
    }
    span
}

fn of_request<B>(request: &Request<B>, target: Option<&Target>) -> Description {
    let (uri, original) = (request.uri(), request.method());
    let method = method(original);
    let template = request.extensions().get::<UrlTemplate>();
    let name = template
        .map_or(Cow::Borrowed(method.name), |UrlTemplate(template)| route(method, template).name);
    let mut span = Description::new(name, CAPACITY);
    span.set(semconv::HTTP_REQUEST_METHOD, method.attribute);
    if method.is_other() {
        span.set(semconv::HTTP_REQUEST_METHOD_ORIGINAL, original.as_str().to_owned());
    }
    span.set(semconv::URL_FULL, full(uri, target));
    if let Some(UrlTemplate(template)) = template {
        span.set(semconv::URL_TEMPLATE, template.clone());
    }
    span
}

/// A client of one host may leave that out of its URIs.
fn full(uri: &Uri, target: Option<&Target>) -> String {
    let text = match (uri.host(), target) {
        (None, Some(Target { origin, .. })) => format!("{origin}{uri}"),
        _ => uri.to_string(),
    };
    redact_url(&text).into_owned()
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
