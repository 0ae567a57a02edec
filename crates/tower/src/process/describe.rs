//! The attributes of a server span, as the semantic conventions for HTTP name them.

use http::uri::Scheme;
use http::{Request, Version};
use opentelemetry::StringValue;
use throughline_core::http::{
    self as semantics, Host, Route, host, method, protocol_version, redact_query, shared_str,
};
use throughline_core::{Description, semconv};

use super::Framework;
use crate::extract::RequestHeaders;

/// Room for the attributes below, for the two at the end, and for a few of the handler's.
const CAPACITY: usize = 14;

pub(super) fn describe<F: Framework, B>(
    request: &Request<B>,
    headers: &RequestHeaders<'_>,
) -> Description {
    let (uri, extensions) = (request.uri(), request.extensions());
    let method = method(request.method());
    let (name, route) = match F::route(extensions).map(|route| semantics::route(method, route)) {
        Some(Route { name, route }) => (name, Some(route)),
        None => (method.name.into(), None),
    };
    let headers = headers.described();
    let host = authority(request, headers.host);
    let user_agent = headers.user_agent.and_then(shared_str);
    let path = StringValue::from(uri.path().to_owned());
    let query = uri.query().map(|query| StringValue::from(redact_query(query).into_owned()));
    let peer =
        F::peer(extensions).map(|peer| (StringValue::from(peer.ip().to_string()), peer.port()));
    let original =
        method.is_other().then(|| StringValue::from(request.method().as_str().to_owned()));
    let version = protocol_version(request.version());
    let scheme = scheme(uri.scheme());

    // Everything is at hand by now, and what comes with every request comes first: so the compiler
    // sees that the list has room, and writes into it without asking.
    let mut span = Description::new(name, CAPACITY);
    span.set_method(method);
    span.set(semconv::URL_PATH, path);
    span.set(semconv::URL_SCHEME, scheme);
    span.set(semconv::NETWORK_PROTOCOL_VERSION, version);
    if let Some(route) = route {
        span.set_route(route);
    }
    if let Some(Host { address, port }) = host {
        span.set(semconv::SERVER_ADDRESS, address);
        if let Some(port) = port {
            span.set(semconv::SERVER_PORT, i64::from(port));
        }
    }
    if let Some(agent) = user_agent {
        span.set(semconv::USER_AGENT_ORIGINAL, agent);
    }
    if let Some(original) = original {
        span.set(semconv::HTTP_REQUEST_METHOD_ORIGINAL, original);
    }
    if let Some(query) = query {
        span.set(semconv::URL_QUERY, query);
    }
    if let Some((address, port)) = peer {
        span.set(semconv::CLIENT_ADDRESS, address.clone());
        span.set(semconv::NETWORK_PEER_ADDRESS, address);
        span.set(semconv::NETWORK_PEER_PORT, i64::from(port));
    }
    span
}

/// Origin-form targets, all of HTTP/1, don't tell their scheme. TLS ends before most services,
/// so `http` is what such a request came by.
fn scheme(scheme: Option<&Scheme>) -> &'static str {
    if scheme == Some(&Scheme::HTTPS) { "https" } else { "http" }
}

fn authority<B>(request: &Request<B>, host_header: Option<&[u8]>) -> Option<Host> {
    // HTTP/2 has the authority in the target, and often no `host`.
    let target = request.uri().authority().filter(|_| request.version() >= Version::HTTP_2);
    host(target.map(|authority| authority.as_str().as_bytes()).or(host_header)?)
}
