//! What a layer does that is told more: filters, captured headers, hooks, ids for the caller.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, Value};
use throughline_testing::Recorder;
use throughline_testing::lineage::AnyValue;
use throughline_tower::{Failure, ServerLayer};
use tower::{ServiceBuilder, ServiceExt};

use crate::spans::{TRACEPARENT, request};

type Answer = Response<Full<Bytes>>;

fn ok() -> Answer {
    Response::new(Full::new(Bytes::from_static(b"done")))
}

/// What a handler answers under the layer, read to its end; the handler makes a span of its own.
async fn served(
    recorder: &Recorder,
    layer: ServerLayer,
    request: Request<()>,
    answer: impl Fn() -> Answer,
) -> http::response::Parts {
    let (answer, provider) = (&answer, recorder.provider());
    let service = ServiceBuilder::new().layer(layer.with_tracer_provider(&provider)).service_fn(
        |_: Request<()>| {
            let span = provider.tracer("handler").start("work");
            drop(Context::current_with_span(span));
            async move { Ok::<_, Infallible>(answer()) }
        },
    );
    let (parts, body) = service.oneshot(request).await.expect("infallible").into_parts();
    drop(body.collect().await);
    parts
}

fn without_parent(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("a request")
}

/// A value as it is written in a few characters.
fn told(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.clone(),
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Array(values) => values.iter().map(told).collect::<Vec<_>>().join("+"),
        other => format!("{other:?}"),
    }
}

fn strings(recorder: &Recorder, key: &str) -> Vec<String> {
    let spans = recorder.spans();
    let server = spans.iter().find(|span| span.name == "GET").expect("the request's span");
    let found = server.attributes.iter().filter(|(name, _)| *name == key);
    found.map(|(_, value)| told(value)).collect()
}

#[tokio::test]
async fn what_is_filtered_is_not_recorded_and_its_context_goes_on() {
    let recorder = Recorder::new();
    let layer = || ServerLayer::new().filter(|request| request.uri().path() != "/orders/42");
    served(&recorder, layer(), request("GET"), ok).await;
    let spans = recorder.spans();
    let [work] = spans.as_slice() else { panic!("not one span: {spans:#?}") };
    assert_eq!(work.name, "work");
    assert_eq!(work.trace_id.to_string(), TRACEPARENT[3..35]);
    assert_eq!(work.parent.map(|id| id.to_string()).as_deref(), Some(&TRACEPARENT[36..52]));

    let recorder = Recorder::new();
    served(&recorder, layer(), without_parent("/other"), ok).await;
    recorder.assert_tree("SERVER GET\n  INTERNAL work");
}

#[tokio::test]
async fn what_is_filtered_and_has_no_parent_begins_no_trace_below() {
    let recorder = Recorder::new();
    let layer = ServerLayer::new().expect_parent(true).filter(|_| false);
    served(&recorder, layer, without_parent("/health"), ok).await;
    assert!(recorder.spans().is_empty(), "{:#?}", recorder.spans());
}

#[tokio::test]
async fn named_headers_are_recorded_but_for_credentials() {
    let recorder = Recorder::new();
    let name = HeaderName::from_static;
    let asked = [
        "x-order",
        "authorization",
        "cookie",
        "x-api-key",
        "x-marked",
        "x-absent",
        "ocp-apim-subscription-key",
    ];
    let layer = ServerLayer::new()
        .capture_request_headers(asked.map(name))
        .capture_response_headers(["x-answer", "set-cookie"].map(name));
    let mut request = request("GET");
    for header in asked[..5].iter().copied() {
        request.headers_mut().append(header, HeaderValue::from_static("one"));
        request.headers_mut().append(header, HeaderValue::from_static("two"));
    }
    if let Some(value) = request.headers_mut().get_mut("x-marked") {
        value.set_sensitive(true);
    }
    let answer = || {
        let mut answer = ok();
        answer.headers_mut().insert("x-answer", HeaderValue::from_static("yes"));
        answer.headers_mut().insert("set-cookie", HeaderValue::from_static("secret"));
        answer
    };
    served(&recorder, layer, request, answer).await;
    let spans = recorder.spans();
    let server = spans.iter().find(|span| span.name == "GET").expect("the request's span");
    let captured = server.attributes.iter().filter(|(key, _)| key.contains(".header."));
    let captured: Vec<_> = captured.map(|(key, value)| format!("{key}={}", told(value))).collect();
    let wanted = [
        "http.request.header.x-order=one+two",
        "http.request.header.x-marked=two",
        "http.response.header.x-answer=yes",
    ];
    assert_eq!(captured, wanted);
}

#[tokio::test]
async fn hooks_see_the_span_and_what_came_and_went() {
    let recorder = Recorder::new();
    let layer = || {
        ServerLayer::new()
            .on_request(|span, request| {
                let path = request.uri().path().to_owned();
                span.set_attribute("asked", Value::from(path));
            })
            .on_response(|span, response| {
                span.set_attribute("answered", i64::from(response.status().as_u16()));
            })
    };
    served(&recorder, layer(), without_parent("/orders/1"), ok).await;
    assert_eq!(strings(&recorder, "asked"), ["/orders/1"]);
    assert_eq!(strings(&recorder, "answered"), ["200"]);

    // Nobody records it, so there is nothing to be told.
    let recorder = Recorder::new();
    let unsampled = TRACEPARENT.replace("-01", "-00");
    let mut request = request("GET");
    request.headers_mut().insert("traceparent", unsampled.parse().expect("a value"));
    let layer = layer().on_request(|_, _| panic!("called"));
    served(&recorder, layer, request, ok).await;
    assert!(recorder.spans().is_empty());
}

#[tokio::test]
async fn a_caller_is_told_the_id_of_its_trace() {
    let name = HeaderName::from_static("x-trace-id");
    let layer = || ServerLayer::new().response_header(name.clone());
    let told = |parts: &http::response::Parts| {
        let id = parts.headers.get("x-trace-id").and_then(|id| id.to_str().ok());
        id.map(str::to_owned)
    };
    let recorder = Recorder::new();
    let parts = served(&recorder, layer(), without_parent("/"), ok).await;
    assert_eq!(told(&parts), Some(recorder.spans()[0].trace_id.to_string()));

    for flags in ["-01", "-00"] {
        let mut request = request("GET");
        let traceparent = TRACEPARENT.replace("-01", flags);
        request.headers_mut().insert("traceparent", traceparent.parse().expect("a value"));
        let parts = served(&Recorder::new(), layer(), request, ok).await;
        assert_eq!(told(&parts).as_deref(), Some(&TRACEPARENT[3..35]), "{flags}");
    }
}

#[tokio::test]
async fn an_error_that_became_a_response_says_why() {
    let answer = |status: StatusCode| {
        move || {
            let error = io::Error::other("the disk is full: https://u:p@host/?sig=no");
            let mut answer = ok();
            *answer.status_mut() = status;
            answer.extensions_mut().insert(Failure::new(&error));
            answer
        }
    };
    let recorder = Recorder::new();
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    served(&recorder, ServerLayer::new(), without_parent("/"), answer(status)).await;
    assert_eq!(strings(&recorder, "error.type"), ["std::io::error::Error"]);
    let spans = recorder.spans();
    let server = spans.iter().find(|span| span.name == "GET").expect("the request's span");
    let said = format!("{:?}", server.status);
    assert!(said.contains("the disk is full") && !said.contains("u:p"), "{said}");

    // It is the caller's fault, and so the server's span has no error.
    let recorder = Recorder::new();
    served(&recorder, ServerLayer::new(), without_parent("/"), answer(StatusCode::NOT_FOUND)).await;
    assert!(strings(&recorder, "error.type").is_empty());
}

#[tokio::test]
async fn the_caller_behind_proxies_is_whom_the_outermost_of_ours_saw() {
    let with = |layer: ServerLayer| async {
        let recorder = Recorder::new();
        let mut request = without_parent("/");
        let chain = HeaderValue::from_static("6.6.6.6, 192.0.2.7, 10.0.0.8");
        request.headers_mut().insert("x-forwarded-for", chain);
        served(&recorder, layer, request, ok).await;
        strings(&recorder, "client.address")
    };
    assert!(with(ServerLayer::new()).await.is_empty());
    assert_eq!(with(ServerLayer::new().trusted_proxies(2)).await, ["192.0.2.7"]);
    assert!(with(ServerLayer::new().trusted_proxies(4)).await.is_empty());
}

/// Whoever asks for a call where there are none.
#[tokio::test]
async fn a_call_that_is_answered_with_http_is_told_as_http_and_names_nothing() {
    for (status, error) in [(StatusCode::NOT_FOUND, None), (StatusCode::BAD_GATEWAY, Some("502"))] {
        let recorder = Recorder::new();
        let mut request = Request::post(format!("/{}", "x".repeat(1_000))).body(()).expect("it");
        let kind = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert("content-type", kind);
        let answer = || {
            let mut answer = ok();
            *answer.status_mut() = status;
            answer
        };
        served(&recorder, ServerLayer::new(), request, answer).await;
        let spans = recorder.spans();
        let server = spans.iter().find(|span| span.name == "POST").expect("the request's span");
        let code = server.attributes.get("http.response.status_code");
        assert_eq!(code.map(told), Some(status.as_u16().to_string()));
        assert_eq!(server.attributes.get_str("error.type"), error);
        assert_eq!(server.attributes.get_str("http.request.method"), Some("POST"));
        assert_eq!(server.attributes.get_str("url.path").map(str::len), Some(1_001));
        assert_eq!(server.attributes.get_str("rpc.method"), None);
    }
}

#[tokio::test]
async fn what_is_filtered_outside_is_recorded_by_no_layer_within() {
    for parent in [None, Some("01"), Some("00")] {
        let recorder = Recorder::new();
        let layer = || ServerLayer::new().with_tracer_provider(&recorder.provider());
        let mut request = without_parent("/health");
        if let Some(flags) = parent {
            let parent = TRACEPARENT.replace("-01", &format!("-{flags}"));
            request.headers_mut().insert("traceparent", parent.parse().expect("a value"));
        }
        let service = ServiceBuilder::new()
            .layer(layer().filter(|_| false))
            .layer(layer())
            .service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok()));
        let response = service.oneshot(request).await.expect("infallible");
        drop(response.into_body().collect().await);
        assert!(recorder.spans().is_empty(), "{parent:?}: {:#?}", recorder.spans());
    }
}

/// A layer outside that catches panics drops the future when nobody panics any longer.
#[tokio::test]
async fn a_call_that_panicked_was_not_cancelled_by_its_caller() {
    let recorder = Recorder::new();
    let layer = ServerLayer::new().with_tracer_provider(&recorder.provider());
    let service = ServiceBuilder::new()
        .layer(layer)
        .service_fn(async |_: Request<()>| -> Result<Answer, Infallible> { panic!("as told") });
    let mut request = Request::post("/test.v1.Test/Panics").body(()).expect("a request");
    let kind = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", kind);
    let mut future = Box::pin(service.oneshot(request));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(future.as_mut().poll(&mut task));
    }));
    assert!(polled.is_err());
    drop(future);
    let spans = recorder.spans();
    assert_eq!(spans[0].attributes.get_str("error.type"), Some("panic"));
    assert_eq!(spans[0].attributes.get_str("rpc.status_code"), None);
}
