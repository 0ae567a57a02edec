//! What goes over the wire.

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next};
use throughline_testing::Recorder;
use throughline_testing::lineage::Span;

use crate::server::{Reply, Server, client, middleware, plain, the_one};

/// The context of somebody who called this process.
fn called(flags: TraceFlags) -> Context {
    let (trace, span) = (TraceId::from(0x0af7_6519), SpanId::from(0xb7ad_6b71));
    let caller = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Context::new().with_remote_span_context(caller)
}

/// The header that carries `span`.
fn carries(span: &Span) -> String {
    format!("00-{}-{}-01", span.trace_id, span.span_id)
}

#[tokio::test]
async fn the_span_of_the_request_is_what_it_carries() {
    let mut server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let request = client(&recorder).get(server.url("/")).send();
    request.with_context(called(TraceFlags::SAMPLED)).await.expect("answered");
    let span = the_one(&recorder);
    assert_eq!(span.trace_id.to_string(), "0000000000000000000000000af76519");
    assert_eq!(span.parent.map(|id| id.to_string()).as_deref(), Some("00000000b7ad6b71"));
    let head = server.head().await;
    assert_eq!(head.traceparent(), carries(&span));
    assert!(head.values("tracestate").is_empty() && head.values("baggage").is_empty());
}

#[tokio::test]
async fn what_a_request_still_had_from_before_is_replaced() {
    let mut server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let stale = "00-11111111111111111111111111111111-2222222222222222-01";
    let request = || {
        let request = client(&recorder).get(server.url("/"));
        // Two of each: as a request that was passed on by hand.
        let names = ["traceparent", "tracestate", "baggage"];
        let pairs = names.into_iter().zip([stale, "stale=1", "stale=1"]);
        pairs
            .clone()
            .chain(pairs)
            .fold(request, |request, (name, value)| request.header(name, value))
    };
    let requests = [request(), request()];
    let [bare, full] = requests;

    bare.send().await.expect("answered");
    let head = server.head().await;
    assert_eq!(head.traceparent(), carries(&the_one(&recorder)));
    assert!(head.values("tracestate").is_empty() && head.values("baggage").is_empty());
    recorder.clear();

    let state = TraceState::from_key_value([("fresh", "1")]).expect("valid");
    let (trace, span) = (TraceId::from(7), SpanId::from(7));
    let caller = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(caller);
    let context = context.with_baggage([KeyValue::new("tenant", "acme")]);
    full.send().with_context(context).await.expect("answered");
    let head = server.head().await;
    assert_eq!(head.traceparent(), carries(&the_one(&recorder)));
    assert_eq!(head.values("tracestate"), ["fresh=1"]);
    assert_eq!(head.values("baggage"), ["tenant=acme"]);
}

#[tokio::test]
async fn two_middlewares_make_one_span() {
    let mut server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let middleware = middleware(&recorder);
    let client = ClientBuilder::new(plain()).with(middleware.clone()).with(middleware).build();
    client.get(server.url("/")).send().await.expect("answered");
    let span = the_one(&recorder);
    assert_eq!(server.head().await.traceparent(), carries(&span));
}

/// Tries again after a failure.
struct Retry;

#[async_trait]
impl Middleware for Retry {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        loop {
            let again = request.try_clone().expect("no stream in it");
            let response = next.clone().run(again, extensions).await?;
            if !response.status().is_server_error() {
                return Ok(response);
            }
        }
    }
}

#[tokio::test]
async fn each_attempt_has_a_span_of_its_own() {
    let replies = &[Reply::Status(503), Reply::Status(502), Reply::Status(200)];
    let mut server = Server::start(replies).await;
    let recorder = Recorder::new();
    let client = ClientBuilder::new(plain()).with(Retry).with(middleware(&recorder)).build();
    let request = client.get(server.url("/")).send();
    request.with_context(called(TraceFlags::SAMPLED)).await.expect("answered");

    recorder.assert_all_ended();
    recorder.assert_tree(
        "
        CLIENT GET !error {error.type=503}
        CLIENT GET !error {error.type=502}
        CLIENT GET {http.response.status_code=200}
        ",
    );
    for span in recorder.spans() {
        assert_eq!(server.head().await.traceparent(), carries(&span));
    }
}

#[tokio::test]
async fn an_unsampled_caller_goes_on_and_the_sampler_is_asked_on_request() {
    let mut server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::with_sampler(Sampler::AlwaysOn);
    let silent = client(&recorder).get(server.url("/")).send();
    silent.with_context(called(TraceFlags::NOT_SAMPLED)).await.expect("answered");
    assert!(recorder.spans().is_empty() && recorder.open_spans().is_empty());
    let head = server.head().await;
    let left = head.traceparent();
    assert!(left.starts_with("00-0000000000000000000000000af76519-") && left.ends_with("-00"));
    assert_ne!(left[36..52], *"00000000b7ad6b71", "the request is another span than the caller's");

    let asking = middleware(&recorder).ask_sampler(true);
    let asking = ClientBuilder::new(plain()).with(asking).build().get(server.url("/")).send();
    asking.with_context(called(TraceFlags::NOT_SAMPLED)).await.expect("answered");
    assert_eq!(server.head().await.traceparent(), carries(&the_one(&recorder)));
}

/// A format of nobody's: `x-trace: <16 hex>`.
#[derive(Debug)]
struct XTrace(Vec<String>);

impl TextMapPropagator for XTrace {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        injector.set("x-trace", context.span().span_context().span_id().to_string());
    }

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[tokio::test]
async fn a_given_propagator_is_spoken() {
    let mut server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let speaks = middleware(&recorder).with_propagator(XTrace(vec!["x-trace".to_owned()]));
    let client = ClientBuilder::new(plain()).with(speaks).build();
    client.get(server.url("/")).header("x-trace", "stale").send().await.expect("answered");
    let head = server.head().await;
    assert_eq!(head.values("x-trace"), [the_one(&recorder).span_id.to_string()]);
    assert!(head.values("traceparent").is_empty());
}
