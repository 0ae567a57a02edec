//! What an axum router tells the layer: routes, nested and not, and who is calling.

#![allow(clippy::expect_used)]

use std::net::SocketAddr;

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::get;
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceId};
use throughline_axum::{RequestBaggage, RequestSpan, ServerLayer, TraceIds, Trust};
use throughline_core::boundary;
use throughline_testing::{Measurements, Recorder};
use tower::ServiceExt;

async fn hello() -> &'static str {
    "hello"
}

fn layer(recorder: &Recorder) -> ServerLayer {
    ServerLayer::new().with_tracer_provider(&recorder.provider())
}

/// Sends a request through the router, to the end of its body.
async fn request(app: Router, path: &str) -> u16 {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("infallible");
    let status = response.status().as_u16();
    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error");
    status
}

#[track_caller]
fn assert_tree(recorder: &Recorder, expected: &str) {
    recorder.assert_all_ended();
    recorder.assert_tree(expected);
}

#[tokio::test]
async fn a_span_is_named_after_its_route() {
    let recorder = Recorder::new();
    let app = Router::new().route("/users/{id}", get(hello)).layer(layer(&recorder));
    assert_eq!(request(app, "/users/42").await, 200);
    assert_tree(&recorder, "SERVER GET /users/{id} {http.route=/users/{id}, url.path=/users/42}");
}

#[tokio::test]
async fn a_path_that_nobody_serves_names_nothing() {
    let recorder = Recorder::new();
    let app = Router::new().route("/users/{id}", get(hello)).layer(layer(&recorder));
    assert_eq!(request(app, "/made/up").await, 404);
    assert_tree(&recorder, "SERVER GET {url.path=/made/up, http.response.status_code=404}");
    assert!(recorder.spans()[0].attributes.get("http.route").is_none());
}

#[tokio::test]
async fn a_nested_router_has_the_whole_route() {
    let recorder = Recorder::new();
    let users = Router::new().route("/{id}", get(hello));
    let app = Router::new().nest("/users", users).layer(layer(&recorder));
    request(app, "/users/42").await;
    assert_tree(&recorder, "SERVER GET /users/{id} {http.route=/users/{id}}");
}

#[tokio::test]
async fn a_nested_service_has_the_whole_route_from_its_own_layer() {
    let recorder = Recorder::new();
    let kept = Measurements::new();
    let layer = || layer(&recorder).with_meter_provider(&kept);
    let users = Router::new().route("/{id}", get(hello)).layer(layer());
    let app = Router::new().nest_service("/users", users).layer(layer());
    request(app, "/users/42").await;
    let expected = "http.request.method=GET http.response.status_code=200 \
                    http.route=/users/{id} network.protocol.version=1.1 url.scheme=http: 1";
    assert_eq!(kept.of("http.server.request.duration"), [expected]);
    // One span of two layers: the outer one has started it, the inner one has named it.
    assert_tree(&recorder, "SERVER GET /users/{id} {http.route=/users/{id}}");
}

#[tokio::test]
async fn a_layer_on_both_routers_makes_one_span() {
    let recorder = Recorder::new();
    let users = Router::new().route("/{id}", get(hello)).layer(layer(&recorder));
    let app = Router::new().nest("/users", users).layer(layer(&recorder));
    request(app, "/users/42").await;
    assert_tree(&recorder, "SERVER GET /users/{id} {http.route=/users/{id}}");
}

/// The SDK keeps doubles, and backends make of them what they like.
#[tokio::test]
async fn no_attribute_is_set_twice() {
    for has_inner_layer in [false, true] {
        let recorder = Recorder::new();
        let users = Router::new().route("/{id}", get(hello));
        let users = if has_inner_layer { users.layer(layer(&recorder)) } else { users };
        let app = Router::new().nest("/users", users).layer(layer(&recorder));
        request(app, "/users/42").await;
        let spans = recorder.spans();
        let mut keys: Vec<_> = spans[0].attributes.iter().map(|(key, _)| key.to_owned()).collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all, "{keys:?}");
    }
}

#[tokio::test]
async fn a_merged_router_keeps_its_own_layer() {
    let recorder = Recorder::new();
    let inside = Router::new().route("/inside", get(hello)).layer(layer(&recorder));
    let app = Router::new().route("/health", get(hello)).merge(inside);
    request(app.clone(), "/health").await;
    request(app, "/inside").await;
    assert_tree(&recorder, "SERVER GET /inside");
}

#[tokio::test]
async fn a_layer_around_the_whole_router_is_named_from_within() {
    let recorder = Recorder::new();
    let app = Router::new().route("/users/{id}", get(hello)).layer(layer(&recorder));
    let around = tower::ServiceBuilder::new().layer(layer(&recorder)).service(app);
    let request = Request::get("/users/42").body(Body::empty()).expect("a request");
    let response = around.oneshot(request).await.expect("infallible");
    axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await.expect("no error");
    assert_tree(&recorder, "SERVER GET /users/{id} {http.route=/users/{id}}");
}

#[tokio::test]
async fn the_peer_is_told_where_the_router_knows_it() {
    let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
    let recorder = Recorder::new();
    let app = Router::new().route("/", get(hello)).layer(layer(&recorder));
    let mut request = Request::get("/").body(Body::empty()).expect("a request");
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    let response = app.oneshot(request).await.expect("infallible");
    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error");
    assert_tree(
        &recorder,
        "SERVER GET / {client.address=192.0.2.7, network.peer.address=192.0.2.7, network.peer.port=4711}",
    );
}

#[tokio::test]
async fn the_handler_reaches_its_span() {
    let recorder = Recorder::new();
    let handler = async || {
        boundary().set_attribute("order.id", 42);
        "ordered"
    };
    let app = Router::new().route("/", get(handler)).layer(layer(&recorder));
    request(app, "/").await;
    assert_tree(&recorder, "SERVER GET / {order.id=42}");
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A request that claims to continue a trace, from this address.
fn claims(path: &str, peer: [u8; 4]) -> Request<Body> {
    let peer = SocketAddr::from((peer, 4321));
    let request = Request::get(path).header("traceparent", CALLER).header("baggage", "user=alice");
    request.extension(axum::extract::ConnectInfo(peer)).body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn whom_to_trust_may_be_a_matter_of_the_caller() {
    let recorder = Recorder::new();
    let trusting = layer(&recorder).trust_by(|request| match request.peer() {
        Some(peer) if peer.ip().is_loopback() => Trust::Continue,
        Some(_) if request.headers().contains_key("x-ignored") => Trust::Ignore,
        _ => Trust::Link,
    });
    let app = Router::new().route("/users/{id}", get(hello)).layer(trusting);
    for peer in [[127, 0, 0, 1], [10, 0, 0, 1]] {
        let response = app.clone().oneshot(claims("/users/42", peer)).await.expect("infallible");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error");
    }
    let spans = recorder.spans();
    let traces: Vec<_> = spans.iter().map(|span| span.trace_id.to_string()).collect();
    assert_eq!(traces[0], CALLER[3..35]);
    assert!(spans[0].parent.is_some() && spans[0].links.is_empty());
    assert_ne!(traces[1], traces[0]);
    assert!(spans[1].parent.is_none());
    assert_eq!(spans[1].links[0].trace_id.to_string(), CALLER[3..35]);
}

#[tokio::test]
async fn some_requests_are_excused_from_bringing_a_parent() {
    let recorder = Recorder::new();
    let strict = layer(&recorder)
        .expect_parent(true)
        .expect_no_parent_of(|request| request.uri().path() == "/health");
    let app =
        Router::new().route("/health", get(hello)).route("/users/{id}", get(hello)).layer(strict);
    for path in ["/health", "/users/42"] {
        assert_eq!(request(app.clone(), path).await, 200);
    }
    let marks = recorder.spans().into_iter().map(|span| {
        span.attributes.get(throughline_core::semconv::THROUGHLINE_PARENT_EXPECTED).is_some()
    });
    assert_eq!(marks.collect::<Vec<_>>(), [false, true]);
}

/// The layer attaches nothing around the call of a route, which is to call nothing by itself.
#[tokio::test]
async fn services_below_are_called_in_the_context_too() {
    let called_in = |seen: Arc<Mutex<Vec<TraceId>>>| {
        tower::service_fn(move |_: Request<Body>| {
            let trace = Context::map_current(|current| current.span().span_context().trace_id());
            seen.lock().expect("a lock").push(trace);
            ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        })
    };
    let (recorder, seen) = (Recorder::new(), Arc::<Mutex<Vec<TraceId>>>::default());
    let nested = Router::new().route_service("/inner", called_in(seen.clone()));
    let app = Router::new()
        .route_service("/service", called_in(seen.clone()))
        .nest_service("/nested", nested)
        .fallback_service(called_in(seen.clone()))
        .layer(layer(&recorder));
    for path in ["/service", "/nested/inner", "/nowhere"] {
        assert_eq!(request(app.clone(), path).await, 200);
    }
    let spans: Vec<_> = recorder.spans().iter().map(|span| span.trace_id).collect();
    let seen: Vec<_> = seen.lock().expect("a lock").iter().map(ToString::to_string).collect();
    assert_eq!(seen, spans.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_handler_is_given_its_trace_its_span_and_its_baggage() {
    for (flags, sampled) in [("01", true), ("00", false)] {
        let recorder = Recorder::new();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&seen);
        let handler = async move |ids: TraceIds,
                                  RequestSpan(span): RequestSpan,
                                  baggage: RequestBaggage| {
            span.set_attribute("order.id", 42);
            let tenant = baggage.get("tenant").unwrap_or("nobody");
            told.lock().expect("a lock").push(format!("{} {} {tenant}", ids.trace_id, ids.span_id));
            assert_eq!(ids.is_sampled, sampled);
        };
        let app = Router::new().route("/", get(handler)).layer(layer(&recorder));
        let mut request = Request::get("/").body(Body::empty()).expect("a request");
        let caller = CALLER.replace("-01", &format!("-{flags}"));
        request.headers_mut().insert("traceparent", caller.parse().expect("a value"));
        request.headers_mut().insert("baggage", "tenant=acme".parse().expect("a value"));
        let response = app.oneshot(request).await.expect("infallible");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error");
        let spans = recorder.spans();
        // Where nothing is recorded, its caller's.
        let own = spans.first().map_or(CALLER[36..52].to_owned(), |span| span.span_id.to_string());
        assert_eq!(*seen.lock().expect("a lock"), [format!("{} {own} acme", &CALLER[3..35])]);
        assert_eq!(spans.len(), usize::from(sampled));
    }
}

#[tokio::test]
async fn without_a_layer_there_are_no_ids() {
    let handler = async |ids: Option<TraceIds>| assert_eq!(ids, None);
    assert_eq!(request(Router::new().route("/", get(handler)), "/").await, 200);
}
