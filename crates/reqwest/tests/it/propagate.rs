//! What goes along, and to whom: by a redirect neither.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{Context, KeyValue};
use reqwest::Url;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use throughline_core::{InContext, W3cPropagator};
use throughline_reqwest::Propagate;
use throughline_testing::Recorder;

use crate::server::{DEADLINE, Head, Reply, Server, middleware, plain, the_one};

const FINE: &[Reply] =
    &[Reply::Bytes("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")];

/// A server that sends whoever asks on to another.
async fn sends_to(status: u16, other: &Server) -> Server {
    let to = other.url("/elsewhere");
    let answer = format!(
        "HTTP/1.1 {status} So\r\nlocation: {to}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    Server::start(Box::leak(Box::new([Reply::Bytes(answer.leak())]))).await
}

/// A client that lets `less` go to this port, and all to others.
fn client(recorder: &Recorder, outside: u16, less: Propagate) -> ClientWithMiddleware {
    let decide = move |url: &Url| match url.port() == Some(outside) {
        true => less,
        false => Propagate::All,
    };
    let middleware = middleware(recorder).propagate_to(decide);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .redirect(middleware.redirect_policy())
        .build()
        .expect("a client");
    ClientBuilder::new(client).with(middleware).build()
}

/// A request from a service that has told others of a user.
async fn ask(client: &ClientWithMiddleware, url: String) -> u16 {
    let request = client.post(url).header("authorization", "secret").body("a book");
    let baggage = Context::new().with_baggage([KeyValue::new("user", "alice")]);
    InContext::new(request.send(), baggage).await.expect("an answer").status().as_u16()
}

fn context(head: &Head) -> [usize; 2] {
    ["traceparent", "baggage"].map(|name| head.values(name).len())
}

#[tokio::test]
async fn less_goes_to_some() {
    for (less, wanted) in
        [(Propagate::All, [1, 1]), (Propagate::TraceOnly, [1, 0]), (Propagate::Nothing, [0, 0])]
    {
        let recorder = Recorder::new();
        let mut outside = Server::start(FINE).await;
        let client = client(&recorder, outside.port, less);
        assert_eq!(ask(&client, outside.url("/")).await, 200);
        assert_eq!(context(&outside.head().await), wanted, "{less:?}");
        the_one(&recorder);
    }
}

#[tokio::test]
async fn a_redirect_to_where_less_may_go_is_the_answer() {
    for less in [Propagate::TraceOnly, Propagate::Nothing] {
        for status in [301, 302, 303, 307, 308] {
            let recorder = Recorder::new();
            let outside = Server::start(FINE).await;
            let between = sends_to(status, &outside).await;
            let mut inside = sends_to(307, &between).await;
            let client = client(&recorder, outside.port, less);
            assert_eq!(ask(&client, inside.url("/")).await, status);
            assert_eq!(context(&inside.head().await), [1, 1]);
            assert!(!outside.was_called(), "{less:?} after a {status}");
            the_one(&recorder);
        }
    }
}

#[tokio::test]
async fn a_redirect_to_where_all_may_go_is_the_clients_own_affair() {
    let recorder = Recorder::new();
    let mut friend = Server::start(FINE).await;
    let inside = sends_to(307, &friend).await;
    let client = client(&recorder, 1, Propagate::Nothing);
    assert_eq!(ask(&client, inside.url("/")).await, 200);
    assert_eq!(context(&friend.head().await), [1, 1]);
}

#[tokio::test]
async fn a_client_without_the_policy_takes_all_along() {
    let recorder = Recorder::new();
    let mut outside = Server::start(FINE).await;
    let inside = sends_to(307, &outside).await;
    let port = outside.port;
    let decide = move |url: &Url| match url.port() == Some(port) {
        true => Propagate::Nothing,
        false => Propagate::All,
    };
    let client =
        ClientBuilder::new(plain()).with(middleware(&recorder).propagate_to(decide)).build();
    assert_eq!(ask(&client, inside.url("/")).await, 200);
    assert_eq!(context(&outside.head().await), [1, 1], "as the docs say");
}

#[tokio::test]
async fn a_client_that_follows_nobody_is_left_to_that() {
    let outside = Server::start(FINE).await;
    let port = outside.port;
    let decide = move |url: &Url| match url.port() == Some(port) {
        true => Propagate::TraceOnly,
        false => Propagate::All,
    };
    let stops = Policy::custom(|attempt| match attempt.previous().len() {
        0 => attempt.follow(),
        _ => attempt.stop(),
    });
    for policy in [Policy::none(), stops] {
        let recorder = Recorder::new();
        let inside = sends_to(307, &outside).await;
        let client = reqwest::Client::builder().no_proxy().redirect(policy).build();
        let middleware = middleware(&recorder).propagate_to(decide);
        let client = ClientBuilder::new(client.expect("a client")).with(middleware).build();
        assert_eq!(ask(&client, inside.url("/")).await, 307);
    }
}

#[tokio::test]
async fn an_inner_middleware_lets_no_more_through_because_an_outer_one_was_there() {
    for flags in ["01", "00"] {
        for (less, wanted) in [(Propagate::TraceOnly, [1, 0]), (Propagate::Nothing, [0, 0])] {
            let recorder = Recorder::new();
            let mut outside = Server::start(FINE).await;
            let client = ClientBuilder::new(plain())
                .with(middleware(&recorder))
                .with(middleware(&recorder).propagate_to(move |_| less))
                .build();
            let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let came: HashMap<_, _> = [
                ("traceparent".to_owned(), parent),
                ("baggage".to_owned(), "user=alice".to_owned()),
            ]
            .into();
            let context = W3cPropagator::new().extract(&came);
            let request = client.post(outside.url("/")).send();
            InContext::new(request, context).await.expect("an answer");
            assert_eq!(self::context(&outside.head().await), wanted, "{less:?}, flags {flags}");
        }
    }
}
