//! What a boundary may allocate, as a test, since nobody reads a benchmark at each
//! change. Instructions are counted in `benches/`.
//!
//! The counting allocator replaces the global one, so these tests have a binary of
//! their own. It counts by thread: they don't disturb each other.

// clippy takes only what is inside of a `#[test]` for a test.
#![allow(clippy::unwrap_used)]

mod cancelled;
mod plan;
mod sqs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Extensions, HeaderValue, Method, Request, header};
use axum::routing::get;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use throughline::axum::ServerLayer;
use throughline::reqwest::ClientMiddleware;
use tower::Service as _;
use tower::util::MapRequestLayer;

// Allocations a request, over a no-op layer. A reallocation counts as one.
const SERVER_SAMPLED: u64 = 10;
const SERVER_UNSAMPLED: u64 = 2;
const SERVER_DROPPED: u64 = 6;
const CLIENT_SAMPLED: u64 = 5;
const CLIENT_UNSAMPLED: u64 = 1;
const CLIENT_DROPPED: u64 = 5;

/// What is done once, as interning a name, is over after the first of these.
const WARM_UP: u64 = 10;
const REQUESTS: u64 = 100;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Decision {
    Sampled,
    Unsampled,
    /// No parent, and our own sampler says no.
    Dropped,
}

/// Drops the spans: to keep them would allocate.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<AtomicU64>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn provider(decision: Decision) -> (SdkTracerProvider, Ended) {
    let ended = Ended::default();
    let root = match decision {
        Decision::Dropped => Sampler::AlwaysOff,
        Decision::Sampled | Decision::Unsampled => Sampler::AlwaysOn,
    };
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_span_processor(ended.clone())
        .build();
    (provider, ended)
}

/// Runs `requests(n)` on this thread, and gives back what it allocated after it got warm.
fn count(requests: impl AsyncFn(u64)) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(requests(WARM_UP));
    let AllocationInfo { count_total, .. } =
        allocation_counter::measure(|| runtime.block_on(requests(REQUESTS)));
    count_total
}

#[track_caller]
fn assert_over(ours: u64, noop: u64, allowed: u64) {
    assert!(noop > 0, "nothing was counted: the counting allocator isn't in place");
    let over = ours as f64 / REQUESTS as f64 - noop as f64 / REQUESTS as f64;
    assert!(
        over <= allowed as f64,
        "{over} allocations a request over the no-op layer, {allowed} are allowed"
    );
}

fn serve(router: Router, decision: Decision) -> u64 {
    let router = router.with_state(());
    count(async |requests| {
        let mut router = router.clone();
        for _ in 0..requests {
            let mut request = Request::get("/users/42")
                .header(header::HOST, "api.example.com:8080")
                .header(header::USER_AGENT, "allocations/1.0");
            let parent = match decision {
                Decision::Sampled => Some(format!("00-{TRACE_ID}-{PARENT_ID}-01")),
                Decision::Unsampled => Some(format!("00-{TRACE_ID}-{PARENT_ID}-00")),
                Decision::Dropped => None,
            };
            if let Some(parent) = parent {
                request = request.header("traceparent", parent);
            }
            let response = router.call(request.body(Body::empty()).unwrap()).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 64).await.unwrap();
            assert_eq!(body, "hello");
        }
    })
}

fn assert_server(decision: Decision, allowed: u64) {
    let router = || Router::new().route("/users/{id}", get(async || "hello"));
    let noop = serve(router().layer(MapRequestLayer::new(|r: Request<Body>| r)), decision);

    let (provider, ended) = provider(decision);
    let layer = ServerLayer::new().with_tracer_provider(&provider);
    let ours = serve(router().layer(layer), decision);

    assert_ended(&ended, decision);
    assert_over(ours, noop, allowed);
}

/// A bound on a layer that did nothing would hold.
#[track_caller]
fn assert_ended(ended: &Ended, decision: Decision) {
    let expected = if decision == Decision::Sampled { WARM_UP + REQUESTS } else { 0 };
    assert_eq!(ended.0.load(Ordering::Relaxed), expected, "spans, for {decision:?}");
}

/// Adds nothing but itself.
struct Noop;

#[async_trait]
impl Middleware for Noop {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        next.run(request, extensions).await
    }
}

/// Answers without a socket, and counts the requests that carry a context.
#[derive(Clone, Default)]
struct Canned(Arc<AtomicU64>);

#[async_trait]
impl Middleware for Canned {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        if request.headers().contains_key("traceparent") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(reqwest::Response::from(axum::http::Response::new("")))
    }
}

/// What is current where a message is sent.
fn parent(decision: Decision) -> Context {
    let flags = match decision {
        Decision::Sampled => TraceFlags::SAMPLED,
        Decision::Unsampled => TraceFlags::NOT_SAMPLED,
        Decision::Dropped => return Context::new(),
    };
    let trace_id = TraceId::from_hex(TRACE_ID).unwrap();
    let span_id = SpanId::from_hex(PARENT_ID).unwrap();
    let parent = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    Context::new().with_remote_span_context(parent)
}

fn call(client: &ClientWithMiddleware, decision: Decision) -> u64 {
    let _current = parent(decision).attach();
    let url: reqwest::Url = "http://orders.internal:8080/v1/orders/42?x=1".parse().unwrap();
    count(async |requests| {
        for _ in 0..requests {
            let mut request = reqwest::Request::new(Method::GET, url.clone());
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("*/*"));
            client.execute(request).await.unwrap();
        }
    })
}

fn assert_client(decision: Decision, allowed: u64) {
    let builder = || ClientBuilder::new(reqwest::Client::new());
    let noop = call(&builder().with(Noop).with(Canned::default()).build(), decision);

    let (provider, ended) = provider(decision);
    let middleware = ClientMiddleware::new().with_tracer_provider(&provider);
    let canned = Canned::default();
    let ours = call(&builder().with(middleware).with(canned.clone()).build(), decision);

    assert_ended(&ended, decision);
    assert_eq!(canned.0.load(Ordering::Relaxed), WARM_UP + REQUESTS, "injected, {decision:?}");
    assert_over(ours, noop, allowed);
}

#[test]
fn a_sampled_request_allocates_little() {
    assert_server(Decision::Sampled, SERVER_SAMPLED);
}

#[test]
fn an_unsampled_request_allocates_next_to_nothing() {
    assert_server(Decision::Unsampled, SERVER_UNSAMPLED);
}

#[test]
fn a_request_our_sampler_drops_allocates_no_more_than_a_sampled_one() {
    assert_server(Decision::Dropped, SERVER_DROPPED);
}

#[test]
fn a_sampled_call_allocates_little() {
    assert_client(Decision::Sampled, CLIENT_SAMPLED);
}

#[test]
fn an_unsampled_call_allocates_less() {
    assert_client(Decision::Unsampled, CLIENT_UNSAMPLED);
}

#[test]
fn a_call_our_sampler_drops_allocates_no_more_than_a_sampled_one() {
    assert_client(Decision::Dropped, CLIENT_DROPPED);
}

/// The assertions above must be able to fail.
#[test]
#[should_panic(expected = "1 allocations a request over the no-op layer, 0 are allowed")]
fn one_allocation_too_many_is_told() {
    let noop = count(async |requests| {
        (0..requests).for_each(|n| drop(std::hint::black_box(Box::new(n))));
    });
    let ours = count(async |requests| {
        (0..requests * 2).for_each(|n| drop(std::hint::black_box(Box::new(n))));
    });
    assert_over(ours, noop, 0);
}
