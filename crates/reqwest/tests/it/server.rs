//! A server that answers by the byte, and the client that asks it.
#![expect(clippy::disallowed_methods, reason = "a server that knows of no trace")]

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};
use throughline_reqwest::ClientMiddleware;
use throughline_testing::Recorder;
use throughline_testing::lineage::{AnyValue, Span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Long enough for a machine with other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What a server does once it has the head of a request. It closes the connection after it.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// These bytes.
    Bytes(&'static str),
    /// An empty answer of this status.
    Status(u16),
    /// Nothing, for as long as the client waits.
    Silence,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    heads: UnboundedReceiver<String>,
}

impl Server {
    /// Serves one of `replies` after the other, and the last one for ever.
    pub(crate) async fn start(replies: &'static [Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (seen, heads) = unbounded_channel();
        tokio::spawn(async move {
            for turn in 0.. {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let (mut came, mut rest) = (Vec::new(), usize::MAX);
                while rest > 0 {
                    assert!(stream.read_buf(&mut came).await.expect("readable") > 0, "cut short");
                    rest = missing(&came);
                }
                drop(seen.send(String::from_utf8(came).expect("text")));
                let answer = match replies[turn.min(replies.len() - 1)] {
                    Reply::Bytes(bytes) => bytes.to_owned(),
                    Reply::Status(status) => format!(
                        "HTTP/1.1 {status} So\r\nlocation: /again\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                    ),
                    Reply::Silence => {
                        tokio::spawn(async move { stream.read_u8().await });
                        continue;
                    }
                };
                stream.write_all(answer.as_bytes()).await.expect("sent");
                stream.shutdown().await.expect("closed");
            }
        });
        Server { port, heads }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Whether a request came that nobody has asked for yet.
    pub(crate) fn was_called(&self) -> bool {
        !self.heads.is_empty()
    }

    /// The next request that came.
    pub(crate) async fn head(&mut self) -> Head {
        let head = tokio::time::timeout(DEADLINE, self.heads.recv()).await;
        Head(head.expect("a request comes in time").expect("the server runs"))
    }
}

/// How much of a request has still to come, as far as that is known.
fn missing(came: &[u8]) -> usize {
    let text = std::str::from_utf8(came).expect("text");
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return usize::MAX };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().expect("a number")) - body.len()
}

/// What came with a request.
pub(crate) struct Head(String);

impl Head {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let headers = self.0.lines().filter_map(|line| line.split_once(": "));
        headers.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }

    /// The one `traceparent` there is.
    #[track_caller]
    pub(crate) fn traceparent(&self) -> &str {
        let values = self.values("traceparent");
        let [value] = values.as_slice() else { panic!("not one traceparent: {}", self.0) };
        value
    }
}

/// A port that nobody listens on.
pub(crate) async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// What reqwest is by default, but for proxies that the environment may name and for waiting for
/// ever.
pub(crate) fn plain() -> Client {
    Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client")
}

pub(crate) fn middleware(recorder: &Recorder) -> ClientMiddleware {
    ClientMiddleware::new().with_tracer_provider(&recorder.provider())
}

pub(crate) fn client(recorder: &Recorder) -> ClientWithMiddleware {
    ClientBuilder::new(plain()).with(middleware(recorder)).build()
}

/// Stands where the network begins, for hosts that there are none of.
#[derive(Clone, Copy)]
pub(crate) struct NoNetwork(pub(crate) http::Version);

#[async_trait]
impl Middleware for NoNetwork {
    async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response, Error> {
        let response = http::Response::builder().version(self.0).body("").expect("a response");
        Ok(response.into())
    }
}

/// The one span there is.
#[track_caller]
pub(crate) fn the_one(recorder: &Recorder) -> Span {
    recorder.assert_all_ended();
    let mut spans = recorder.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    spans.remove(0)
}

/// Everything a span tells, sorted.
pub(crate) fn attributes(span: &Span) -> Vec<String> {
    let mut all: Vec<_> = span
        .attributes
        .iter()
        .map(|(key, value)| match value {
            AnyValue::String(text) => format!("{key}={text}"),
            AnyValue::Int(number) => format!("{key}={number}"),
            other => panic!("{key} is neither text nor number: {other:?}"),
        })
        .collect();
    all.sort();
    all
}

pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    let prefix = format!("{key}=");
    let mut found = attributes(span)
        .into_iter()
        .filter_map(|pair| pair.strip_prefix(&prefix).map(str::to_owned));
    let value = found.next();
    assert_eq!(found.next(), None, "{key} is told twice");
    value
}
