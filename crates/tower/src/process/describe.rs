//! The attributes of a server span, as the semantic conventions for HTTP name them.

use http::{HeaderMap, Request, Version, header, uri::Scheme};
use opentelemetry::StringValue;
use throughline_core::http::{
    self as semantics, Host, host, method, protocol_version, redact_query, shared_str,
};
use throughline_core::{Description, semconv};

use super::Framework;

/// Room for the attributes below, for the two at the end, and for a few of the handler's.
const CAPACITY: usize = 14;

pub(super) fn describe<F: Framework, B>(request: &Request<B>) -> Description {
    let (uri, extensions) = (request.uri(), request.extensions());
    let method = method(request.method());
    let route = F::route(extensions).map(|route| semantics::route(method, route));
    let mut span = match &route {
        Some(route) => Description::new(route.name.clone(), CAPACITY),
        None => Description::new(method.name, CAPACITY),
    };
    span.set(semconv::HTTP_REQUEST_METHOD, method.attribute);
    if method.is_other() {
        span.set(semconv::HTTP_REQUEST_METHOD_ORIGINAL, request.method().as_str().to_owned());
    }
    if let Some(route) = route {
        span.set(semconv::HTTP_ROUTE, route.route);
    }
    span.set(semconv::URL_PATH, uri.path().to_owned());
    if let Some(query) = uri.query() {
        span.set(semconv::URL_QUERY, redact_query(query).into_owned());
    }
    span.set(semconv::URL_SCHEME, scheme(uri.scheme()));
    if let Some(Host { address, port }) = authority(request) {
        span.set(semconv::SERVER_ADDRESS, address);
        if let Some(port) = port {
            span.set(semconv::SERVER_PORT, i64::from(port));
        }
    }
    if let Some(peer) = F::peer(extensions) {
        let address: StringValue = peer.ip().to_string().into();
        span.set(semconv::CLIENT_ADDRESS, address.clone());
        span.set(semconv::NETWORK_PEER_ADDRESS, address);
        span.set(semconv::NETWORK_PEER_PORT, i64::from(peer.port()));
    }
    span.set(semconv::NETWORK_PROTOCOL_VERSION, protocol_version(request.version()));
    if let Some(agent) = user_agent(request.headers()) {
        span.set(semconv::USER_AGENT_ORIGINAL, agent);
    }
    span
}

/// Origin-form targets, all of HTTP/1, don't tell their scheme. TLS ends before most services,
/// so `http` is what such a request came by.
fn scheme(scheme: Option<&Scheme>) -> &'static str {
    if scheme == Some(&Scheme::HTTPS) { "https" } else { "http" }
}

fn authority<B>(request: &Request<B>) -> Option<Host> {
    // HTTP/2 has the authority in the target, and often no `host`.
    let header = || host(request.headers().get(header::HOST)?.as_bytes());
    match request.uri().authority() {
        Some(authority) if request.version() >= Version::HTTP_2 => {
            host(authority.as_str().as_bytes())
        }
        _ => header(),
    }
}

fn user_agent(headers: &HeaderMap) -> Option<std::sync::Arc<str>> {
    shared_str(headers.get(header::USER_AGENT)?)
}
