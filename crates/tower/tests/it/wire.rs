//! What is said on the wire between the head of a request and the end of its response.

use throughline_testing::lineage::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::{DEADLINE, Shop};
use crate::spans::TRACEPARENT;

/// A caller who writes what he likes.
struct Caller(TcpStream);

impl Caller {
    /// Sends the head of a request that is the last one of its connection.
    async fn ask(shop: &Shop, method: &str, path: &str, headers: &str) -> Self {
        let mut stream = shop.connect().await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: shop.example\r\ntraceparent: {TRACEPARENT}\r\n\
             connection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        Caller(stream)
    }

    /// What has come, once that ends so.
    async fn read_to(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let read = async {
            while !seen.ends_with(end.as_bytes()) {
                let more = self.0.read_buf(&mut seen).await.expect("readable");
                assert!(more > 0, "no {end:?}: {}", String::from_utf8_lossy(&seen));
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("it comes in time");
        String::from_utf8(seen).expect("text")
    }

    /// All that is still to come. A connection that breaks off has an end, too.
    async fn read_all(mut self) -> String {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut rest)).await;
        drop(read.expect("it ends in time"));
        String::from_utf8(rest).expect("text")
    }
}

/// The one span there is, which continues its caller's trace.
fn the_one(shop: &Shop) -> Span {
    let mut spans = shop.recorder.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    let span = spans.remove(0);
    assert_eq!(span.trace_id.to_string(), TRACEPARENT[3..35]);
    assert_eq!(span.parent.map(|id| id.to_string()).as_deref(), Some(&TRACEPARENT[36..52]));
    span
}

#[tokio::test]
async fn an_interim_response_is_no_end() {
    let shop = Shop::open().await;
    let expecting = "expect: 100-continue\r\ncontent-length: 5\r\n";
    let mut caller = Caller::ask(&shop, "PUT", "/orders", expecting).await;
    assert_eq!(caller.read_to("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    // The handler waits for the body that was asked for.
    assert_eq!(shop.recorder.open_spans().len(), 1);
    assert!(shop.recorder.spans().is_empty());
    caller.0.write_all(b"order").await.expect("sent");
    let answer = caller.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    shop.assert_tree(
        1,
        "SERVER PUT {http.request.method=PUT, url.path=/orders, server.address=shop.example, \
         http.response.status_code=201, network.protocol.version=1.1}",
    )
    .await;
    assert!(the_one(&shop).attributes.get("error.type").is_none());
}

/// Whoever refuses doesn't ask for the body.
#[tokio::test]
async fn a_request_may_be_refused_before_its_body_is_sent() {
    let shop = Shop::open().await;
    let expecting = "expect: 100-continue\r\ncontent-length: 5\r\n";
    let answer = Caller::ask(&shop, "PUT", "/closed", expecting).await.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 417 Expectation Failed\r\n"), "{answer}");
    shop.assert_tree(1, "SERVER PUT {http.response.status_code=417}").await;
    assert!(the_one(&shop).attributes.get("error.type").is_none());
}

const CHUNKS: &str = "3\r\none\r\n3\r\ntwo\r\n";

#[tokio::test]
async fn trailers_are_sent_and_the_span_ends_with_them() {
    let shop = Shop::open().await;
    let mut caller = Caller::ask(&shop, "GET", "/trailers", "te: trailers\r\n").await;
    caller.read_to(CHUNKS).await;
    assert_eq!(shop.recorder.open_spans().len(), 1, "the trailers are still to come");
    shop.go.notify_one();
    assert_eq!(caller.read_all().await, "0\r\nx-checksum: 7\r\n\r\n");
    shop.assert_tree(1, "SERVER GET {http.response.status_code=200}").await;
    assert!(the_one(&shop).attributes.get("error.type").is_none());
}

#[tokio::test]
async fn a_body_that_fails_where_its_trailers_were_due() {
    let shop = Shop::open().await;
    let mut caller = Caller::ask(&shop, "GET", "/torn", "te: trailers\r\n").await;
    caller.read_to(CHUNKS).await;
    shop.go.notify_one();
    assert_eq!(caller.read_all().await, "", "not even its end");
    shop.assert_tree(
        1,
        "SERVER GET {http.response.status_code=200, error.type=std::io::error::Error} !error",
    )
    .await;
    the_one(&shop);
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_trailers() {
    let shop = Shop::open().await;
    let mut caller = Caller::ask(&shop, "GET", "/trailers", "te: trailers\r\n").await;
    caller.read_to(CHUNKS).await;
    drop(caller);
    let expected = "SERVER GET {http.response.status_code=200, error.type=cancelled}";
    shop.assert_tree(1, expected).await;
    the_one(&shop);
}
