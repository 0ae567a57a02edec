//! Requests that end with the body of their response, and what is measured of them.

use std::error::Error as _;
use std::time::Duration;

use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, SpanId, TraceId};
use reqwest::{Client, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use throughline_testing::lineage::Status;
use throughline_testing::{Measurements, Recorder};

use crate::server::{Reply, Server, attribute, client, middleware, nobody, plain, the_one};

const WHOLE: &str =
    "HTTP/1.1 200 OK\r\nx-kept: yes\r\ncontent-length: 5\r\nconnection: close\r\n\r\nwhole";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";

fn to_the_end(recorder: &Recorder) -> ClientWithMiddleware {
    ClientBuilder::new(plain()).with(middleware(recorder).end_with_body(true)).build()
}

async fn answered(recorder: &Recorder, reply: &'static [Reply]) -> (Response, Server) {
    let server = Server::start(reply).await;
    let response = to_the_end(recorder).get(server.url("/orders")).send().await;
    (response.expect("answered"), server)
}

#[tokio::test]
async fn the_span_ends_where_the_body_does() {
    for reply in [&[Reply::Bytes(WHOLE)], &[Reply::Bytes(CHUNKED)]] as [&'static [Reply]; 2] {
        let recorder = Recorder::new();
        let (response, server) = answered(&recorder, reply).await;
        assert_eq!(recorder.open_spans().len(), 1, "the body is still to come");
        // It is the response that it was.
        assert_eq!(response.url().as_str(), server.url("/orders"));
        assert!(response.remote_addr().is_some_and(|peer| peer.port() == server.port));
        let known = reply_is(reply, WHOLE);
        assert_eq!(response.content_length(), known.then_some(5));
        assert_eq!(response.headers().contains_key("x-kept"), known);
        assert_eq!(response.text().await.expect("a body"), "whole");
        let span = the_one(&recorder);
        assert_eq!((&span.status, attribute(&span, "error.type")), (&Status::Unset, None));
        assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("200"));
    }
}

fn reply_is(reply: &[Reply], bytes: &str) -> bool {
    matches!(reply, [Reply::Bytes(found)] if *found == bytes)
}

#[tokio::test]
async fn all_that_was_promised_is_the_end() {
    let recorder = Recorder::new();
    let (mut response, _server) = answered(&recorder, &[Reply::Bytes(WHOLE)]).await;
    let mut read = 0;
    while read < 5 {
        read += response.chunk().await.expect("readable").expect("more").len();
    }
    drop(response);
    assert_eq!(attribute(&the_one(&recorder), "error.type"), None);
}

#[tokio::test]
async fn a_response_without_a_body_ends_at_its_head() {
    let recorder = Recorder::new();
    let (response, _server) = answered(&recorder, &[Reply::Status(500)]).await;
    let span = the_one(&recorder);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("500"));
    drop(response);
}

#[tokio::test]
async fn a_body_that_fails_or_is_left_is_told() {
    let recorder = Recorder::new();
    let (response, _server) = answered(&recorder, &[Reply::Bytes(HALF)]).await;
    let error = response.bytes().await.expect_err("half a body");
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(error.source().is_some());
    let span = the_one(&recorder);
    assert!(matches!(attribute(&span, "error.type").as_deref(), Some("body" | "decode")));
    assert!(matches!(span.status, Status::Error(_)));

    let recorder = Recorder::new();
    let (response, _server) = answered(&recorder, &[Reply::Bytes(WHOLE)]).await;
    drop(response);
    let span = the_one(&recorder);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn a_timeout_within_the_body_is_one() {
    // Of a body that is longer than what comes, on a connection that stays.
    let recorder = Recorder::new();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = server.local_addr().expect("bound").port();
    let serve = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = server.accept().await.expect("a client");
        let mut came = Vec::new();
        while !came.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut came).await.expect("a request");
        }
        stream.write_all(HALF.as_bytes()).await.expect("sent");
        // For as long as the client waits.
        drop(stream.read_u8().await);
    };
    let client = Client::builder().no_proxy().read_timeout(Duration::from_millis(50));
    let client = ClientBuilder::new(client.build().expect("a client"));
    let client = client.with(middleware(&recorder).end_with_body(true)).build();
    let ask = async {
        let response = client.get(format!("http://127.0.0.1:{port}/")).send().await;
        let error = response.expect("a head").bytes().await.expect_err("half a body");
        assert!(error.is_timeout(), "{error:?}");
    };
    tokio::join!(serve, ask);
    assert_eq!(attribute(&the_one(&recorder), "error.type").as_deref(), Some("timeout"));
}

const DURATION: &str = "http.client.request.duration";

fn measured(recorder: &Recorder, kept: &Measurements, to_the_end: bool) -> ClientWithMiddleware {
    let middleware = || {
        middleware(recorder)
            .end_with_body(to_the_end)
            .measure_active_requests(true)
            .measure_body_sizes(true)
            .with_meter_provider(kept)
    };
    // Twice: two of them are one.
    ClientBuilder::new(plain()).with(middleware()).with(middleware()).build()
}

fn caller(is_sampled: bool) -> Context {
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(7), SpanId::from(7));
    let caller = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Context::new().with_remote_span_context(caller)
}

#[tokio::test]
async fn every_request_is_measured_once() {
    for (is_sampled, to_the_end) in [(true, true), (true, false), (false, true), (false, false)] {
        let (recorder, kept) = (Recorder::new(), Measurements::new());
        let client = measured(&recorder, &kept, to_the_end);
        let server = Server::start(&[Reply::Bytes(WHOLE)]).await;
        let request = client.post(server.url("/orders")).body("order").send();
        let response = request.with_context(caller(is_sampled)).await.expect("answered");
        let address = format!("server.address=127.0.0.1 server.port={}", server.port);
        let active = |count| [format!("http.request.method=POST {address}: {count}")];
        assert_eq!(kept.of("http.client.active_requests"), active(i32::from(to_the_end)));
        assert_eq!(response.text().await.expect("a body"), "whole");
        assert_eq!(kept.of("http.client.active_requests"), active(0));
        let labels = format!(
            "http.request.method=POST http.response.status_code=200 network.protocol.version=1.1 \
             {address}"
        );
        assert_eq!(kept.of(DURATION), [format!("{labels}: 1")]);
        for size in ["http.client.request.body.size", "http.client.response.body.size"] {
            assert_eq!(kept.of(size), [format!("{labels}: 1 of 5 By")], "{size}");
        }
        recorder.assert_all_ended();
    }
}

#[tokio::test]
async fn a_request_that_fails_is_measured() {
    for is_sampled in [true, false] {
        let (recorder, kept) = (Recorder::new(), Measurements::new());
        let port = nobody().await;
        let request = measured(&recorder, &kept, false).get(format!("http://127.0.0.1:{port}/"));
        request.send().with_context(caller(is_sampled)).await.expect_err("refused");
        let expected = format!(
            "error.type=connect http.request.method=GET server.address=127.0.0.1 \
             server.port={port}: 1"
        );
        assert_eq!(kept.of(DURATION), [expected]);
    }
}

#[tokio::test]
async fn without_a_provider_nothing_is_measured() {
    let recorder = Recorder::new();
    let server = Server::start(&[Reply::Bytes(WHOLE)]).await;
    let response = client(&recorder).get(server.url("/")).send().await.expect("answered");
    // It ended with the head.
    recorder.assert_all_ended();
    drop(response);
}

/// Sends a request again while it still holds the first answer, as one that refreshes a token does.
struct Again;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Again {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> Result<Response, reqwest_middleware::Error> {
        let again = request.try_clone().expect("a request without a body");
        let first = next.clone().run(request, extensions).await?;
        let second = next.run(again, extensions).await;
        drop(first);
        second
    }
}

#[tokio::test]
async fn each_attempt_is_measured() {
    for is_sampled in [true, false] {
        let (recorder, kept) = (Recorder::new(), Measurements::new());
        let server = Server::start(&[Reply::Status(401), Reply::Bytes(WHOLE)]).await;
        let middleware = middleware(&recorder).end_with_body(true).with_meter_provider(&kept);
        let client = ClientBuilder::new(plain()).with(Again).with(middleware).build();
        let request = client.get(server.url("/")).send().with_context(caller(is_sampled));
        assert_eq!(request.await.expect("answered").text().await.expect("a body"), "whole");
        let lines = kept.of(DURATION);
        let statuses = ["http.response.status_code=200", "http.response.status_code=401"];
        for status in statuses {
            let of_status = lines.iter().filter(|it| it.contains(status) && it.ends_with(": 1"));
            assert_eq!(of_status.count(), 1, "{status}: {lines:?}");
        }
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}

#[tokio::test]
async fn what_is_told_is_what_was_allowed() {
    let (recorder, server) = (Recorder::new(), Server::start(&[Reply::Bytes(WHOLE)]).await);
    let names = ["x-kept", "x-tenant", "authorization"].map(http::HeaderName::from_static);
    let middleware = middleware(&recorder)
        .capture_request_headers(names.clone())
        .capture_response_headers(names)
        .rewrite_url(|url| Some(url.replace("sig=REDACTED", "told")))
        .filter(|request| request.url().path() != "/health");
    let client = ClientBuilder::new(plain()).with(middleware).build();
    for path in ["/orders?sig=abc", "/health"] {
        let request = client.get(server.url(path)).header("x-tenant", "acme");
        request.header("authorization", "secret").send().await.expect("answered");
    }
    let span = the_one(&recorder);
    assert_eq!(span.attributes.get_str("url.full"), Some(&*server.url("/orders?told")));
    let headers = span.attributes.iter().map(|(key, _)| key).filter(|it| it.contains(".header."));
    let headers: Vec<_> = headers.collect();
    assert_eq!(headers, ["http.request.header.x-tenant", "http.response.header.x-kept"]);
}
