//! What a span tells of its request.

use std::collections::HashMap;

use http::{Method, Version};
use opentelemetry::propagation::TextMapPropagator;
use reqwest::Request;
use reqwest_middleware::ClientBuilder;
use throughline_core::W3cPropagator;
use throughline_core::root::Kind;
use throughline_reqwest::{InjectContext, UrlTemplate, inject};
use throughline_testing::Recorder;
use throughline_testing::lineage::Status;

use crate::server::{
    NoNetwork, Reply, Server, attribute, attributes, client, middleware, plain, the_one,
};

/// The span of a request for `url` that goes nowhere.
async fn told(method: &str, url: &str, version: Version) -> throughline_testing::lineage::Span {
    let recorder = Recorder::new();
    let client =
        ClientBuilder::new(plain()).with(middleware(&recorder)).with(NoNetwork(version)).build();
    // `client.get(..)` would take user and password out of the URL.
    let method = method.parse().expect("a method");
    let request = Request::new(method, url.parse().expect("a URL"));
    client.execute(request).await.expect("answered");
    the_one(&recorder)
}

#[tokio::test]
async fn a_span_says_what_the_conventions_ask_for_and_nothing_else() {
    let server = Server::start(&[Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let url = server.url("/orders/42?page=2");
    let request = client(&recorder).post(&url).header("authorization", "hunter2").body("secret");
    request.send().await.expect("answered");
    let span = the_one(&recorder);
    assert_eq!(
        (span.name.as_str(), span.kind, &span.status),
        ("POST", Kind::Client, &Status::Unset)
    );
    let port = server.port;
    assert_eq!(
        attributes(&span),
        [
            "http.request.method=POST".to_owned(),
            "http.response.status_code=200".to_owned(),
            "network.protocol.version=1.1".to_owned(),
            "server.address=127.0.0.1".to_owned(),
            format!("server.port={port}"),
            format!("url.full=http://127.0.0.1:{port}/orders/42?page=2"),
        ]
    );
    assert_eq!(span.scope.name, "throughline-reqwest");
    assert_eq!(span.scope.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(span.scope.schema_url, "https://opentelemetry.io/schemas/1.45.0");
}

#[tokio::test]
async fn the_server_is_told_by_its_name_and_its_port() {
    for (url, address, port) in [
        ("http://orders.test/", "orders.test", "80"),
        ("https://orders.test/", "orders.test", "443"),
        ("https://orders.test:8443/", "orders.test", "8443"),
        ("http://[::1]/", "::1", "80"),
        ("http://user:pw@orders.test:81/", "orders.test", "81"),
    ] {
        let span = told("GET", url, Version::HTTP_11).await;
        assert_eq!(attribute(&span, "server.address").as_deref(), Some(address), "{url}");
        assert_eq!(attribute(&span, "server.port").as_deref(), Some(port), "{url}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_response() {
    let server = Server::start(&[Reply::Bytes("HTTP/1.0 200 OK\r\n\r\n")]).await;
    let recorder = Recorder::new();
    client(&recorder).get(server.url("/")).send().await.expect("answered");
    let version = attribute(&the_one(&recorder), "network.protocol.version");
    assert_eq!(version.as_deref(), Some("1.0"));

    for (version, name) in [(Version::HTTP_2, "2"), (Version::HTTP_3, "3")] {
        let span = told("GET", "http://orders.test/", version).await;
        assert_eq!(attribute(&span, "network.protocol.version").as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_method_that_somebody_made_up_names_nothing() {
    let span = told("BREW", "http://orders.test/", Version::HTTP_11).await;
    assert_eq!(span.name, "HTTP");
    assert_eq!(attribute(&span, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(attribute(&span, "http.request.method_original").as_deref(), Some("BREW"));

    let span = told(Method::PATCH.as_str(), "http://orders.test/", Version::HTTP_11).await;
    assert_eq!(span.name, "PATCH");
    assert_eq!(attribute(&span, "http.request.method_original"), None);
}

#[tokio::test]
async fn user_and_password_are_told_by_nobody() {
    for (url, redacted) in [
        ("http://user:hunter2@orders.test/a", "http://REDACTED:REDACTED@orders.test/a"),
        ("http://hunter2@orders.test/a", "http://REDACTED@orders.test/a"),
        ("http://:hunter2@orders.test/a", "http://REDACTED:REDACTED@orders.test/a"),
    ] {
        let span = told("GET", url, Version::HTTP_11).await;
        assert_eq!(attribute(&span, "url.full").as_deref(), Some(redacted));
        assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
    }
}

#[tokio::test]
async fn each_key_that_the_conventions_list_is_redacted() {
    for key in [
        "AWSAccessKeyId",
        "Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
        "sig",
    ] {
        let url = |value| format!("https://orders.test/a?page=2&{key}={value}&last=1#top");
        let span = told("GET", &url("hunter2"), Version::HTTP_11).await;
        assert_eq!(attribute(&span, "url.full"), Some(url("REDACTED")));
        assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
    }
}

#[tokio::test]
async fn a_template_names_a_request() {
    let recorder = Recorder::new();
    let client = ClientBuilder::new(plain())
        .with(middleware(&recorder))
        .with(NoNetwork(Version::HTTP_11))
        .build();
    let request = client.get("http://orders.test/orders/42");
    let request = request.with_extension(UrlTemplate::new("/orders/{id}"));
    request.send().await.expect("answered");
    let span = the_one(&recorder);
    assert_eq!(span.name, "GET /orders/{id}");
    assert_eq!(attribute(&span, "url.template").as_deref(), Some("/orders/{id}"));
}

/// Tries as often as it takes.
struct Retry;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Retry {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        loop {
            let again = request.try_clone().expect("a body that can be sent again");
            let answer = next.clone().run(again, extensions).await?;
            if answer.status().is_success() {
                return Ok(answer);
            }
        }
    }
}

#[tokio::test]
async fn each_attempt_is_a_span_that_says_which_one_it_is() {
    let mut server =
        Server::start(&[Reply::Status(503), Reply::Status(503), Reply::Status(200)]).await;
    let recorder = Recorder::new();
    let client = ClientBuilder::new(plain()).with(Retry).with(middleware(&recorder)).build();
    let answer = client.get(server.url("/")).send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    let spans = recorder.spans();
    let counts: Vec<_> =
        spans.iter().map(|span| attribute(span, "http.request.resend_count")).collect();
    assert_eq!(counts, [None, Some("1".to_owned()), Some("2".to_owned())]);
    for span in &spans {
        let head = server.head().await;
        assert_eq!(head.traceparent()[36..52], span.span_id.to_string());
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what is injected by hand is sent by hand")]
async fn a_plain_client_carries_the_trace_and_makes_no_span() {
    let mut server = Server::start(&[Reply::Status(200), Reply::Status(200)]).await;
    let caller: HashMap<_, _> = [
        (
            "traceparent".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ),
        ("baggage".to_owned(), "user=alice".to_owned()),
    ]
    .into();
    let context = W3cPropagator::new().extract(&caller);
    let client = plain();
    let by_hand = {
        let _attached = context.attach();
        let stale = client.get(server.url("/")).header("traceparent", "stale");
        let stale = stale.header("tracestate", "stale=1");
        let mut request = stale.build().expect("a request");
        inject(&mut request);
        let built = client.get(server.url("/")).header("traceparent", "stale");
        let built = built.header("tracestate", "stale=1").inject_context();
        [request, built.build().expect("a request")]
    };
    for request in by_hand {
        client.execute(request).await.expect("answered");
        let head = server.head().await;
        assert_eq!(head.values("traceparent"), [caller["traceparent"].as_str()]);
        assert_eq!(head.values("baggage"), ["user=alice"]);
        assert!(head.values("tracestate").is_empty());
    }
}
