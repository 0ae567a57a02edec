//! The attributes of a server span, as the semantic conventions for HTTP name them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{Method, Request, Version};
use opentelemetry::StringValue;
use throughline_core::http::{
    self as semantics, Host, Route, host, method, protocol_version, redact_query, shared_str,
};
use throughline_core::rpc::{self, Side};
use throughline_core::{Description, semconv};

use super::exchange::{Aside, Asked, Exchange, is_grpc};
use super::forwarded::client_address;
use super::{Framework, More};
use crate::extract::RequestHeaders;

/// Room for the attributes below, for the two at the end, and for a few of the handler's.
const CAPACITY: usize = 14;

pub(super) fn describe<F: Framework, B>(
    request: &Request<B>,
    headers: &RequestHeaders<'_>,
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
    aside: &mut Option<Box<Aside>>,
) -> Description {
    let (uri, extensions) = (request.uri(), request.extensions());
    if is_call(request) {
        return call::<F, B>(request, headers, more, exchange, aside);
    }
    let method = method(request.method());
    let (name, route) = match F::route(extensions).map(|route| semantics::route(method, route)) {
        Some(Route { name, route }) => (name, Some(route)),
        None => (method.name.into(), None),
    };
    let headers = headers.described();
    let host = authority(request, headers.host);
    let user_agent = headers.user_agent.and_then(shared_str);
    let path = StringValue::from(uri.path().to_owned());
    let query = uri.query().and_then(|query| told_query(query, more));
    let peer = F::peer(extensions).map(told);
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
    if let Some(host) = host {
        span.set_server(host);
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
    if let Some(peer) = peer {
        set_peer(peer, more, &mut span);
    }
    if let Some(more) = more {
        add(more, semconv::HTTP_REQUEST_HEADER, request, &mut span);
    }
    span
}

#[inline]
fn told_query(query: &str, more: Option<&Arc<More>>) -> Option<StringValue> {
    let query = redact_query(query);
    let rewritten = more.and_then(|more| more.rewrite.as_ref()?(&query));
    let query = rewritten.unwrap_or_else(|| query.into_owned());
    (!query.is_empty()).then(|| StringValue::from(query))
}

#[inline]
fn told(peer: SocketAddr) -> (StringValue, u16) {
    (StringValue::from(peer.ip().to_string()), peer.port())
}

/// The peer is the client as well, where no proxy stands between.
#[inline(always)]
fn set_peer((address, port): (StringValue, u16), more: Option<&Arc<More>>, span: &mut Description) {
    if more.is_none_or(|more| more.trusted_proxies == 0) {
        span.set(semconv::CLIENT_ADDRESS, address.clone());
    }
    span.set(semconv::NETWORK_PEER_ADDRESS, address);
    span.set(semconv::NETWORK_PEER_PORT, i64::from(port));
}

#[cold]
fn add<B>(more: &More, prefix: &'static str, request: &Request<B>, span: &mut Description) {
    let headers = request.headers();
    if let Some(address) = client_address(headers, more.trusted_proxies) {
        span.set(semconv::CLIENT_ADDRESS, address);
    }
    more.request_headers.describe(prefix, headers, span);
}

/// Whether a request is a call of gRPC.
#[inline]
pub(super) fn is_call<B>(request: &Request<B>) -> bool {
    // Most requests aren't even this.
    request.method() == Method::POST && is_grpc(request.headers())
}

/// Not inlined, so that requests of HTTP stay as short as they look.
#[inline(never)]
fn call<F: Framework, B>(
    request: &Request<B>,
    headers: &RequestHeaders<'_>,
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
    aside: &mut Option<Box<Aside>>,
) -> Description {
    let method = called::<F, B>(request, more, exchange, aside);
    let mut span = rpc::describe(method, CAPACITY);
    span.set(semconv::NETWORK_PROTOCOL_VERSION, protocol_version(request.version()));
    let headers = headers.described();
    if let Some(host) = authority(request, headers.host) {
        span.set_server(host);
    }
    if let Some(agent) = headers.user_agent.and_then(shared_str) {
        span.set(semconv::USER_AGENT_ORIGINAL, agent);
    }
    if let Some(peer) = F::peer(request.extensions()) {
        set_peer(told(peer), more, &mut span);
    }
    if let Some(more) = more {
        add(more, semconv::RPC_REQUEST_HEADER, request, &mut span);
    }
    span
}

/// The method of a call, where it is known: else what is asked for is kept for the answer, which
/// may show what it was.
pub(super) fn called<F: Framework, B>(
    request: &Request<B>,
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
    aside: &mut Option<Box<Aside>>,
) -> Option<Cow<'static, str>> {
    let path = request.uri().path();
    let listed = more.and_then(|more| more.methods.as_ref());
    let is_listed = listed.is_some_and(|listed| listed.contains(rpc::called(path)));
    let method = match is_listed {
        true => Some(rpc::keep(path, Side::Server)),
        false if listed.is_some() => None,
        false => rpc::method(path, Side::Server).map(Cow::Borrowed),
    };
    *exchange = Exchange::Answered { is_known: method.is_some() };
    if method.is_none() {
        let route = F::route(request.extensions());
        let asked = semantics::method(request.method());
        aside.get_or_insert_default().asked = Some(Asked {
            path: path.into(),
            is_listed: listed.is_some(),
            scheme: scheme(request.uri().scheme()),
            version: protocol_version(request.version()),
            route: route.map(|route| semantics::route(asked, route)),
        });
    }
    method
}

/// Origin-form targets, all of HTTP/1, don't tell their scheme. TLS ends before most services,
/// so `http` is what such a request came by.
pub(super) fn scheme(scheme: Option<&Scheme>) -> &'static str {
    if scheme == Some(&Scheme::HTTPS) { "https" } else { "http" }
}

// Always, as told in `exchange`.
#[inline(always)]
fn authority<B>(request: &Request<B>, host_header: Option<&[u8]>) -> Option<Host> {
    // HTTP/2 has the authority in the target, and often no `host`.
    let target = request.uri().authority().filter(|_| request.version() >= Version::HTTP_2);
    host(target.map(|authority| authority.as_str().as_bytes()).or(host_header)?)
}
