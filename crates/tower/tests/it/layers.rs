//! What the layer says of a request, and how it stands beside others.
#![expect(
    clippy::disallowed_methods,
    reason = "a service must keep its context in a task by itself"
)]

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::task::{Context as Task, Poll, Waker};

use bytes::Bytes;
use http::{Extensions, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::{Status, TraceContextExt};
use throughline_core::{BoundarySpan, boundary};
use throughline_tower::{Framework, HttpServerLayer};
use tower::buffer::BufferLayer;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::spans::{Spans, attribute, current, request};

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from("hello"))))
}

#[tokio::test]
async fn a_span_says_what_the_conventions_ask_for() {
    let spans = Spans::new();
    let service = ServiceBuilder::new().layer(spans.layer()).service_fn(hello);
    service
        .oneshot(request("GET"))
        .await
        .expect("infallible")
        .into_body()
        .collect()
        .await
        .expect("");
    let ended = spans.ended();
    let mut attributes: Vec<_> =
        ended[0].attributes.iter().map(|kv| format!("{}={}", kv.key, kv.value)).collect();
    attributes.sort();
    assert_eq!(ended[0].name, "GET");
    assert_eq!(
        attributes,
        [
            "http.request.method=GET",
            "http.response.status_code=200",
            "network.protocol.version=1.1",
            "server.address=shop.example",
            "server.port=8080",
            "url.path=/orders/42",
            "url.query=sig=REDACTED&page=2",
            "url.scheme=http",
            "user_agent.original=test/1",
        ]
    );
    assert_eq!(ended[0].instrumentation_scope.name(), "throughline-tower");
    let schema = "https://opentelemetry.io/schemas/1.45.0";
    assert_eq!(ended[0].instrumentation_scope.schema_url(), Some(schema));
}

/// They are remembered from the pass that looks for the context, unless that looks names up.
#[tokio::test]
async fn host_and_user_agent_are_the_first_of_many_headers_as_of_few() {
    for others in [0, 5, 6, 7, 8, 40] {
        let spans = Spans::new();
        let service = ServiceBuilder::new().layer(spans.layer()).service_fn(hello);
        let mut request = request("GET");
        request.headers_mut().append("host", HeaderValue::from_static("second.example"));
        request.headers_mut().append("user-agent", HeaderValue::from_static("second/1"));
        for other in 0..others {
            let name = HeaderName::try_from(format!("x-{other}")).expect("a name");
            request.headers_mut().insert(name, HeaderValue::from_static("y"));
        }
        drop(service.oneshot(request).await);
        let span = &spans.ended()[0];
        assert_eq!(attribute(span, "server.address"), ["shop.example"], "{others} others");
        assert_eq!(attribute(span, "user_agent.original"), ["test/1"], "{others} others");
        assert!(span.parent_span_is_remote, "{others} others");
    }
}

#[tokio::test]
async fn a_method_that_somebody_made_up_names_nothing() {
    let spans = Spans::new();
    let service = ServiceBuilder::new().layer(spans.layer()).service_fn(hello);
    drop(service.oneshot(request("BREW")).await);
    let span = &spans.ended()[0];
    assert_eq!(span.name, "HTTP");
    assert_eq!(attribute(span, "http.request.method"), ["_OTHER"]);
    assert_eq!(attribute(span, "http.request.method_original"), ["BREW"]);
}

#[tokio::test]
async fn an_error_of_the_service_is_the_end() {
    let spans = Spans::new();
    let service = ServiceBuilder::new()
        .layer(spans.layer())
        .service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>(std::fmt::Error));
    assert!(service.oneshot(request("GET")).await.is_err());
    spans.assert_end(Status::error(""), &["core::fmt::Error"]);
}

#[tokio::test]
async fn an_error_behind_dyn_has_no_type_to_tell() {
    let spans = Spans::new();
    let service = ServiceBuilder::new()
        .layer(spans.layer())
        .service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, BoxError>("broke".into()));
    assert!(service.oneshot(request("GET")).await.is_err());
    spans.assert_end(Status::error(""), &["_OTHER"]);
}

#[tokio::test]
async fn a_panic_is_the_end_in_the_call_and_in_the_future() {
    let spans = Spans::new();
    let mut in_call = ServiceBuilder::new().layer(spans.layer()).service(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Full<Bytes>>, Infallible>> {
            panic!("boom")
        },
    ));
    let call = AssertUnwindSafe(|| drop(in_call.call(request("GET"))));
    assert!(std::panic::catch_unwind(call).is_err());
    spans.assert_end(Status::error("the handler panicked"), &["panic"]);

    let spans = Spans::new();
    let in_future = ServiceBuilder::new().layer(spans.layer()).service_fn(
        async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> { panic!("boom") },
    );
    let served = tokio::spawn(in_future.oneshot(request("GET")));
    assert!(served.await.expect_err("panicked").is_panic());
    spans.assert_end(Status::error("the handler panicked"), &["panic"]);
}

#[test]
fn a_request_that_is_dropped_is_cancelled() {
    let spans = Spans::new();
    let mut service = ServiceBuilder::new().layer(spans.layer()).service_fn(
        async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> { pending().await },
    );
    let mut future = Box::pin(service.call(request("GET")));
    let mut task = Task::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut task), Poll::Pending));
    assert!(!current().is_valid(), "nothing stays current between the polls");
    drop(future);
    spans.assert_end(Status::Unset, &["cancelled"]);
}

/// A framework whose route comes by an extension.
#[derive(Debug)]
struct Routes;

#[derive(Clone)]
struct Matched(&'static str);

impl Framework for Routes {
    fn route(extensions: &Extensions) -> Option<&str> {
        extensions.get::<Matched>().map(|matched| matched.0)
    }

    fn peer(_: &Extensions) -> Option<std::net::SocketAddr> {
        Some(([192, 0, 2, 7], 4711).into())
    }
}

#[tokio::test]
async fn a_framework_gives_route_and_peer() {
    let spans = Spans::new();
    let layer = HttpServerLayer::<Routes>::new().with_tracer_provider(&spans.provider);
    let service = ServiceBuilder::new().layer(layer).service_fn(hello);
    let mut request = request("GET");
    request.extensions_mut().insert(Matched("/orders/{id}"));
    drop(service.oneshot(request).await);
    let span = &spans.ended()[0];
    assert_eq!(span.name, "GET /orders/{id}");
    assert_eq!(attribute(span, "http.route"), ["/orders/{id}"]);
    assert_eq!(attribute(span, "client.address"), ["192.0.2.7"]);
    assert_eq!(attribute(span, "network.peer.address"), ["192.0.2.7"]);
    assert_eq!(attribute(span, "network.peer.port"), ["4711"]);
}

#[tokio::test]
async fn a_layer_applied_twice_makes_one_span_and_the_inner_one_names_it() {
    let spans = Spans::new();
    let inner = HttpServerLayer::<Routes>::new().with_tracer_provider(&spans.provider);
    let service = ServiceBuilder::new()
        .layer(spans.layer())
        .map_request(|mut request: Request<()>| {
            request.extensions_mut().insert(Matched("/orders/{id}"));
            request
        })
        .layer(inner.clone())
        .layer(inner)
        .service_fn(hello);
    let response = service.oneshot(request("GET")).await.expect("infallible");
    response.into_body().collect().await.expect("no error");
    let (name, status, error_type) = spans.the_one();
    assert_eq!((name.as_str(), status, error_type), ("GET /orders/{id}", Status::Unset, vec![]));
    assert_eq!(attribute(&spans.ended()[0], "http.route"), ["/orders/{id}"]);
}

#[tokio::test]
async fn a_layer_applied_twice_asks_its_sampler_once() {
    let spans = Spans::new();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff)
        .build();
    let outer = HttpServerLayer::<Routes>::new().with_tracer_provider(&provider);
    let service = ServiceBuilder::new().layer(outer).layer(spans.layer()).service_fn(
        async |_: Request<()>| {
            assert!(!current().is_sampled(), "the outer layer has decided");
            hello(request("GET")).await
        },
    );
    let mut request = request("GET");
    request.headers_mut().remove("traceparent");
    drop(service.oneshot(request).await);
    assert!(spans.ended().is_empty());
}

#[tokio::test]
async fn behind_a_worker_task_the_second_layer_finds_the_span_again() {
    let spans = Spans::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let witness = std::sync::Arc::clone(&seen);
    // What a client would do that sends in its `call`: that runs in the worker's task.
    let inner = service_fn(move |request: Request<()>| {
        witness.lock().expect("not poisoned").push(current().span_id());
        hello(request)
    });
    let service = ServiceBuilder::new()
        .layer(spans.layer())
        .layer(BufferLayer::new(1))
        .layer(spans.layer())
        .service(BoxCloneService::new(inner));
    let response = service.oneshot(request("GET")).await.expect("served");
    response.into_body().collect().await.expect("no error");
    let id = spans.ended()[0].span_context.span_id();
    assert_eq!(*seen.lock().expect("not poisoned"), [id]);
    spans.assert_end(Status::Unset, &[]);
}

#[tokio::test]
async fn a_span_between_two_layers_stays_the_parent() {
    use opentelemetry::trace::{Tracer, TracerProvider};

    let spans = Spans::new();
    let tracer = spans.provider.tracer("between");
    let service = ServiceBuilder::new()
        .layer(spans.layer())
        .layer(tower::layer::layer_fn(|inner| {
            let tracer = tracer.clone();
            service_fn(move |request: Request<()>| {
                use opentelemetry::trace::FutureExt;
                let span = tracer.start("between");
                let context = opentelemetry::Context::current_with_span(span);
                let inner: BoxCloneService<_, Response<_>, Infallible> =
                    BoxCloneService::clone(&inner);
                inner.oneshot(request).with_context(context)
            })
        }))
        .layer(tower::layer::layer_fn(BoxCloneService::new))
        .layer(spans.layer())
        .service_fn(async |request: Request<()>| {
            opentelemetry::Context::current()
                .span()
                .set_attribute(opentelemetry::KeyValue::new("here", true));
            boundary().set_attribute("boundary", true);
            hello(request).await
        });
    drop(service.oneshot(request("GET")).await);
    let ended = spans.ended();
    let named = |name: &str| ended.iter().find(|span| span.name == name).expect(name);
    assert_eq!(attribute(named("between"), "here"), ["true"]);
    assert_eq!(attribute(named("GET"), "boundary"), ["true"]);
}

#[tokio::test]
async fn a_layer_may_be_built_before_there_is_a_provider() {
    let spans = Spans::new();
    let service =
        ServiceBuilder::new().layer(throughline_tower::ServerLayer::new()).service_fn(hello);
    let serve = || async {
        let response = service.clone().oneshot(request("GET")).await.expect("infallible");
        response.into_body().collect().await.expect("no error")
    };
    serve().await;
    assert!(spans.ended().is_empty());
    // The only test of this binary that sets the global one.
    throughline_core::set_tracer_provider(spans.provider.clone());
    serve().await;
    serve().await;
    assert_eq!(spans.ended().len(), 2);
}

/// The types that users name in their own structs.
#[test]
fn services_and_bodies_are_send() {
    fn is_send<T: Send>() {}
    is_send::<BoundarySpan>();
    is_send::<throughline_tower::ResponseBody<Full<Bytes>>>();
    is_send::<throughline_tower::ResponseFuture<std::future::Ready<()>>>();
}

#[tokio::test]
async fn a_task_between_two_layers_does_not_lose_the_context() {
    let spans = Spans::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let witness = std::sync::Arc::clone(&seen);
    let inner = ServiceBuilder::new().layer(spans.layer()).service_fn(move |_: Request<()>| {
        let witness = std::sync::Arc::clone(&witness);
        async move {
            witness.lock().expect("not poisoned").push(current().span_id());
            hello(request("GET")).await
        }
    });
    // The call is made in the context, and what it makes runs in a task without one.
    let spawning = service_fn(move |request: Request<()>| {
        let task = tokio::spawn(inner.clone().oneshot(request));
        async move { task.await.expect("no panic") }
    });
    let service = ServiceBuilder::new().layer(spans.layer()).service(spawning);
    let response = service.oneshot(request("GET")).await.expect("infallible");
    response.into_body().collect().await.expect("no error");
    spans.assert_end(Status::Unset, &[]);
    let id = spans.ended()[0].span_context.span_id();
    assert_eq!(*seen.lock().expect("not poisoned"), [id]);
}

#[tokio::test]
async fn an_inner_layer_does_not_trust_whom_the_outer_one_did_not() {
    // Without a provider there is no span to find, and still a judgement to respect.
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    provider.shutdown().expect("shuts down");
    let outer = throughline_tower::ServerLayer::public_edge().with_tracer_provider(&provider);
    let inner = throughline_tower::ServerLayer::new().with_tracer_provider(&provider);
    let service =
        ServiceBuilder::new().layer(outer).layer(inner).service_fn(async |request: Request<()>| {
            assert!(!current().is_valid(), "a stranger's trace goes on: {:?}", current());
            hello(request).await
        });
    drop(service.oneshot(request("GET")).await);
}

#[tokio::test]
async fn what_stands_between_two_layers_of_an_unsampled_request_stays() {
    use opentelemetry::baggage::BaggageExt;

    let spans = Spans::new();
    let inner =
        ServiceBuilder::new().layer(spans.layer()).service_fn(async |request: Request<()>| {
            let context = opentelemetry::Context::current();
            assert_eq!(context.baggage().len(), 1, "the middleware's baggage is gone");
            hello(request).await
        });
    let between = service_fn(move |request: Request<()>| {
        use opentelemetry::trace::FutureExt;
        let tenant = opentelemetry::KeyValue::new("tenant", "acme");
        let context = opentelemetry::Context::current_with_baggage([tenant]);
        inner.clone().oneshot(request).with_context(context)
    });
    let mut request = request("GET");
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    request.headers_mut().insert("traceparent", unsampled.parse().expect("a value"));
    let service = ServiceBuilder::new().layer(spans.layer()).service(between);
    drop(service.oneshot(request).await);
    assert!(spans.ended().is_empty());
}

#[tokio::test]
async fn a_request_that_is_handled_once_more_has_a_span_once_more() {
    let spans = Spans::new();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = std::sync::Arc::clone(&kept);
    let first = ServiceBuilder::new().layer(spans.layer()).service(service_fn(
        move |request: Request<()>| {
            *keep.lock().expect("not poisoned") = Some(request);
            hello(self::request("GET"))
        },
    ));
    drop(first.oneshot(request("GET")).await);
    let again = kept.lock().expect("not poisoned").take().expect("it was kept");
    let second = ServiceBuilder::new().layer(spans.layer()).service_fn(hello);
    drop(second.oneshot(again).await);
    assert_eq!(spans.ended().len(), 2);
}
