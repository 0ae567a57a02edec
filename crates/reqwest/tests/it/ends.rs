//! How a request ends, and what its span says of that.
#![expect(
    clippy::disallowed_methods,
    reason = "a request must keep its context in a task by itself"
)]

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use http_body_util::BodyExt;
use reqwest::{Client, Request, Response, redirect};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next};
use throughline_testing::Recorder;
use throughline_testing::lineage::{Span, Status};

use crate::server::{
    DEADLINE, Reply, Server, attribute, client, middleware, nobody, plain, the_one,
};

/// What no end of a request may tell.
const SECRET: &str = "/very/private?sig=hunter2";

/// An end without an answer: an error of this type, which tells its cause and not the URL.
#[track_caller]
fn assert_failed(span: &Span, error_type: &str, cause: &str) {
    assert_eq!(attribute(span, "error.type").as_deref(), Some(error_type));
    assert_eq!(attribute(span, "http.response.status_code"), None);
    assert_eq!(attribute(span, "network.protocol.version"), None);
    let Status::Error(description) = &span.status else { panic!("no error: {:?}", span.status) };
    assert!(description.contains(cause), "{cause:?} isn't told: {description:?}");
    for part in ["http://", "private", "sig", "hunter2", "user"] {
        assert!(!description.contains(part), "{part:?} is told: {description:?}");
    }
}

#[tokio::test]
async fn a_status_of_400_and_above_is_an_error() {
    let expected: [(&'static [Reply], u16, bool); 7] = [
        (&[Reply::Status(200)], 200, false),
        (&[Reply::Status(204)], 204, false),
        (&[Reply::Status(302)], 302, false),
        (&[Reply::Status(399)], 399, false),
        (&[Reply::Status(400)], 400, true),
        (&[Reply::Status(404)], 404, true),
        (&[Reply::Status(500)], 500, true),
    ];
    for (replies, status, is_error) in expected {
        let server = Server::start(replies).await;
        let recorder = Recorder::new();
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = ClientBuilder::new(client.build().expect("a client"));
        let client = client.with(middleware(&recorder)).build();
        let response = client.get(server.url("/")).send().await.expect("answered");
        assert_eq!(response.status(), status);
        let (span, status) = (the_one(&recorder), status.to_string());
        assert_eq!(attribute(&span, "http.response.status_code"), Some(status.clone()));
        assert_eq!(attribute(&span, "error.type"), is_error.then_some(status));
        let expected = if is_error { Status::Error(String::new()) } else { Status::Unset };
        assert_eq!(span.status, expected);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let recorder = Recorder::new();
    // Its user and password are left in it, as no request builder would.
    let url = format!("http://user:hunter2@127.0.0.1:{}{SECRET}", nobody().await);
    let request = Request::new(http::Method::GET, url.parse().expect("a URL"));
    client(&recorder).execute(request).await.expect_err("refused");
    assert_failed(&the_one(&recorder), "connect", "refused");
}

#[tokio::test]
async fn nobody_answers() {
    let server = Server::start(&[Reply::Silence]).await;
    let recorder = Recorder::new();
    let client = Client::builder().no_proxy().timeout(Duration::from_millis(50));
    let client = ClientBuilder::new(client.build().expect("a client"));
    let client = client.with(middleware(&recorder)).build();
    client.get(server.url(SECRET)).send().await.expect_err("timed out");
    assert_failed(&the_one(&recorder), "timeout", "timed out");
}

#[tokio::test]
async fn the_server_closes_within_the_head() {
    let server = Server::start(&[Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-le")]).await;
    let recorder = Recorder::new();
    client(&recorder).get(server.url(SECRET)).send().await.expect_err("closed");
    assert_failed(&the_one(&recorder), "request", "");
    assert_ne!(the_one(&recorder).status, Status::Error(String::new()), "the cause is told");
}

#[tokio::test]
async fn redirects_that_never_end() {
    let server = Server::start(&[Reply::Status(302)]).await;
    let recorder = Recorder::new();
    client(&recorder).get(server.url(SECRET)).send().await.expect_err("a loop");
    assert_failed(&the_one(&recorder), "redirect", "redirect");
}

#[tokio::test]
async fn a_request_that_cannot_be_made() {
    let recorder = Recorder::new();
    let url = format!("ftp://orders.test{SECRET}");
    client(&recorder).get(url).send().await.expect_err("no such scheme");
    assert_failed(&the_one(&recorder), "builder", "");
}

/// Reads the body while the request still runs, as one that caches would.
enum Reads {
    Whole,
    Frames,
}

#[async_trait]
impl Middleware for Reads {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let response = next.run(request, extensions).await?;
        let body = match self {
            Reads::Whole => response.bytes().await?,
            Reads::Frames => reqwest::Body::from(response).collect().await?.to_bytes(),
        };
        Ok(http::Response::new(body).into())
    }
}

#[tokio::test]
async fn the_body_breaks_off_under_a_middleware_that_reads_it() {
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    for (reads, error_type) in [(Reads::Whole, "decode"), (Reads::Frames, "body")] {
        let server = Server::start(&[Reply::Bytes(HALF)]).await;
        let recorder = Recorder::new();
        let client = ClientBuilder::new(plain()).with(middleware(&recorder)).with(reads).build();
        client.get(server.url(SECRET)).send().await.expect_err("half a body");
        assert_failed(&the_one(&recorder), error_type, "");
    }
}

/// Refuses every request.
struct Refuses;

#[async_trait]
impl Middleware for Refuses {
    async fn handle(
        &self,
        request: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> Result<Response, Error> {
        Err(Error::middleware(std::io::Error::other(format!("not to {}", request.url()))))
    }
}

#[tokio::test]
async fn an_inner_middleware_refuses() {
    let recorder = Recorder::new();
    let client = ClientBuilder::new(plain()).with(middleware(&recorder)).with(Refuses).build();
    client.get(format!("http://orders.test{SECRET}")).send().await.expect_err("refused");
    assert_failed(&the_one(&recorder), "_OTHER", "");
}

#[tokio::test]
async fn the_caller_gives_up() {
    let mut server = Server::start(&[Reply::Silence]).await;
    let recorder = Recorder::new();
    let request = client(&recorder).get(server.url("/"));
    let request = tokio::spawn(request.send());
    server.head().await;
    request.abort();
    assert!(request.await.is_err_and(|error| error.is_cancelled()));
    recorder.wait_for(1, DEADLINE).await.expect("the span ends");
    let span = the_one(&recorder);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(attribute(&span, "http.response.status_code"), None);
}

/// Panics where others send.
struct Panics;

#[async_trait]
impl Middleware for Panics {
    async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response, Error> {
        // Like a panic, without its words on standard error.
        std::panic::resume_unwind(Box::new("broken"))
    }
}

#[tokio::test]
async fn an_inner_middleware_panics() {
    let recorder = Recorder::new();
    let client = ClientBuilder::new(plain()).with(middleware(&recorder)).with(Panics).build();
    let request = tokio::spawn(client.get("http://orders.test/").send());
    assert!(request.await.is_err_and(|error| error.is_panic()));
    let span = the_one(&recorder);
    assert!(matches!(span.status, Status::Error(_)), "{:?}", span.status);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("panic"));
}

#[tokio::test]
async fn the_span_ends_with_the_head_and_not_with_the_body() {
    let server =
        Server::start(&[Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")]).await;
    let recorder = Recorder::new();
    let response = client(&recorder).get(server.url("/")).send().await.expect("a head");
    assert_eq!(the_one(&recorder).status, Status::Unset);
    response.bytes().await.expect_err("nothing of the body comes");
    assert_eq!(attribute(&the_one(&recorder), "error.type"), None);
}
