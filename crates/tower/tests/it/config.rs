//! That each setting of the layer, and each form of a request, has its effect.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::SpanData;
use throughline_tower::ServerLayer;
use tower::{ServiceBuilder, ServiceExt};

use crate::spans::{Spans, TRACEPARENT, attribute, request};

/// Serves a request under the layer; the context its handler ran in.
async fn handled(layer: ServerLayer, request: Request<()>) -> Context {
    let seen = Arc::new(Mutex::new(Context::new()));
    let witness = Arc::clone(&seen);
    let service = ServiceBuilder::new().layer(layer).service_fn(move |_: Request<()>| {
        *witness.lock().expect("not poisoned") = Context::current();
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) }
    });
    drop(service.oneshot(request).await);
    seen.lock().expect("not poisoned").clone()
}

fn with(headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = request("GET");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    request
}

fn caller() -> (TraceId, SpanId) {
    (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331))
}

#[tokio::test]
async fn a_public_edge_links_its_caller_and_takes_nothing_over() {
    let spans = Spans::new();
    let edge = ServerLayer::public_edge().with_tracer_provider(&spans.provider);
    let seen = handled(edge, with(&[("baggage", "admin=true"), ("tracestate", "theirs=1")])).await;
    let ended = spans.ended();
    let [span] = ended.as_slice() else { panic!("not one span: {ended:#?}") };
    assert_ne!(span.span_context.trace_id(), caller().0);
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_eq!(span.span_context.trace_state(), &TraceState::NONE);
    let links: Vec<_> = span.links.iter().map(|link| link.span_context.clone()).collect();
    let [link] = links.as_slice() else { panic!("not one link: {links:#?}") };
    assert_eq!((link.trace_id(), link.span_id()), caller());
    assert_eq!(seen.span().span_context(), &span.span_context);
    assert!(seen.baggage().is_empty());

    // The same request, where callers are trusted.
    let spans = Spans::new();
    let seen = handled(spans.layer(), with(&[("baggage", "admin=true")])).await;
    let span = &spans.ended()[0];
    assert_eq!((span.span_context.trace_id(), span.parent_span_id), caller());
    assert!(span.links.is_empty());
    assert_eq!(seen.baggage().len(), 1);
}

#[tokio::test]
async fn a_public_edge_lets_in_the_baggage_it_is_told_to() {
    let spans = Spans::new();
    let edge = ServerLayer::public_edge().with_tracer_provider(&spans.provider);
    let edge = edge.admit_baggage(["campaign"]);
    let seen = handled(edge, with(&[("baggage", "admin=true,campaign=spring")])).await;
    let members: Vec<_> =
        seen.baggage().iter().map(|(key, (value, _))| (key.as_str(), value.as_str())).collect();
    assert_eq!(members, [("campaign", "spring")]);
    assert_eq!(spans.ended()[0].links.len(), 1);
}

#[tokio::test]
async fn a_public_edge_lets_nobody_switch_the_sampling_off() {
    let spans = Spans::new();
    let edge = ServerLayer::public_edge().with_tracer_provider(&spans.provider);
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    handled(edge, with(&[("traceparent", unsampled)])).await;
    assert_eq!(spans.ended().len(), 1);
}

#[tokio::test]
async fn the_sampler_is_asked_about_an_unsampled_caller_only_on_request() {
    let spans = Spans::sampling_all();
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    handled(spans.layer(), with(&[("traceparent", unsampled)])).await;
    assert!(spans.ended().is_empty());
    handled(spans.layer().ask_sampler(true), with(&[("traceparent", unsampled)])).await;
    let ended = spans.ended();
    let [span] = ended.as_slice() else { panic!("not one span: {ended:#?}") };
    assert_eq!((span.span_context.trace_id(), span.parent_span_id), caller());
}

/// A format of nobody's: `x-trace: <16 hex>`, in the trace of that number.
#[derive(Debug)]
struct XTrace(Vec<String>);

impl TextMapPropagator for XTrace {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = extractor.get("x-trace").and_then(|text| u64::from_str_radix(text, 16).ok());
        let Some(id) = found else { return context.clone() };
        let (trace, span) = (TraceId::from(u128::from(id)), SpanId::from(id));
        let flags = TraceFlags::SAMPLED;
        let caller = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        context.with_remote_span_context(caller)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[tokio::test]
async fn a_given_propagator_is_spoken() {
    let spans = Spans::new();
    let layer = spans.layer().with_propagator(XTrace(vec!["x-trace".to_owned()]));
    // That it brings a `traceparent` as well means nothing to this propagator.
    handled(layer, with(&[("x-trace", "2a"), ("traceparent", TRACEPARENT)])).await;
    let span = &spans.ended()[0];
    assert_eq!(span.span_context.trace_id(), TraceId::from(42));
    assert_eq!(span.parent_span_id, SpanId::from(42));
}

async fn told(version: Version, uri: &str, host: Option<&'static str>) -> SpanData {
    let spans = Spans::new();
    let request = Request::builder().version(version).uri(uri);
    let request = host.into_iter().fold(request, |request, host| request.header("host", host));
    handled(spans.layer(), request.body(()).expect("a request")).await;
    spans.ended().remove(0)
}

#[tokio::test]
async fn the_server_is_told_by_the_target_of_http_2_and_the_host_of_http_1() {
    let absolute = "http://target.example:8081/a";
    for (version, uri, host, address, port) in [
        (Version::HTTP_2, absolute, None, "target.example", "8081"),
        (Version::HTTP_2, absolute, Some("host.example:8082"), "target.example", "8081"),
        (Version::HTTP_3, absolute, Some("host.example:8082"), "target.example", "8081"),
        (Version::HTTP_2, "/a", Some("host.example:8082"), "host.example", "8082"),
        (Version::HTTP_11, "/a", Some("host.example:8082"), "host.example", "8082"),
        // As it is sent to a proxy.
        (Version::HTTP_11, absolute, Some("host.example:8082"), "host.example", "8082"),
    ] {
        let span = told(version, uri, host).await;
        let what = format!("{version:?} {uri} {host:?}");
        assert_eq!(attribute(&span, "server.address"), [address], "{what}");
        assert_eq!(attribute(&span, "server.port"), [port], "{what}");
    }
    let nameless = told(Version::HTTP_11, "/a", None).await;
    assert!(attribute(&nameless, "server.address").is_empty());
    assert!(attribute(&nameless, "server.port").is_empty());
}

#[tokio::test]
async fn the_scheme_is_that_of_the_target_where_it_has_one() {
    for (uri, scheme) in
        [("https://target.example/a", "https"), ("http://target.example/a", "http"), ("/a", "http")]
    {
        let span = told(Version::HTTP_2, uri, None).await;
        assert_eq!(attribute(&span, "url.scheme"), [scheme], "{uri}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_request() {
    for (version, name) in [
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let span = told(version, "http://target.example/a", None).await;
        assert_eq!(attribute(&span, "network.protocol.version"), [name]);
    }
}

#[tokio::test]
async fn without_a_framework_the_peer_is_an_address_that_was_put_there() {
    let spans = Spans::new();
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let layer = spans.layer().trust_by(move |request| {
        *told.lock().expect("not poisoned") = request.peer();
        throughline_tower::Trust::Continue
    });
    let peer: std::net::SocketAddr = "192.0.2.7:4711".parse().expect("an address");
    let mut request = with(&[]);
    request.extensions_mut().insert(peer);
    handled(layer, request).await;
    assert_eq!(*seen.lock().expect("not poisoned"), Some(peer));
    assert_eq!(attribute(&spans.ended()[0], "client.address"), ["192.0.2.7"]);
}
