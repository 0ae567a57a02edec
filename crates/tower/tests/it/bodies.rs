//! The span ends where the body does.
#![expect(clippy::disallowed_methods, reason = "a body must keep its context in a task by itself")]

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use opentelemetry::trace::{SpanId, Status};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::spans::{Body, Spans, answer, attribute, current, request};

/// A body of given frames, that tells which span was current when it was polled and dropped.
struct Script {
    frames: std::vec::IntoIter<Result<Frame<Bytes>, io::Error>>,
    length: Option<u64>,
    seen: Arc<Mutex<Vec<SpanId>>>,
    panics: bool,
}

impl Script {
    fn new(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> Self {
        let frames = frames.into_iter();
        Script { frames, length: None, seen: Arc::default(), panics: false }
    }

    fn of_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    fn testify(&self) {
        self.seen.lock().expect("not poisoned").push(current().span_id());
    }
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.testify();
        assert!(!self.panics, "boom");
        Poll::Ready(self.frames.next())
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.testify();
    }
}

fn data(bytes: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

async fn serve<B>(
    spans: &Spans,
    method: &str,
    response: Response<B>,
) -> Response<throughline_tower::ResponseBody<B>>
where
    B: http_body::Body + Send + 'static,
{
    let response = Mutex::new(Some(response));
    let handler = service_fn(move |_: Request<()>| {
        let response = response.lock().expect("not poisoned").take().expect("called once");
        async move { Ok::<_, Infallible>(response) }
    });
    let service = ServiceBuilder::new().layer(spans.layer()).service(handler);
    service.oneshot(request(method)).await.expect("infallible")
}

#[tokio::test]
async fn a_body_that_says_its_end_ends_the_span_with_its_last_byte() {
    let spans = Spans::new();
    let mut response = serve(&spans, "GET", answer(200, Full::new(Bytes::from("hello")))).await;
    assert!(spans.ended().is_empty(), "the span lives as long as its body");
    let frame = response.body_mut().frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.into_data().expect("data"), "hello");
    spans.assert_end(Status::Unset, &[]);
}

#[tokio::test]
async fn a_stream_is_in_its_context_until_it_is_dropped() {
    let spans = Spans::new();
    let body = Script::new(vec![data("a"), data("b"), Ok(Frame::trailers(HeaderMap::new()))]);
    let seen = Arc::clone(&body.seen);
    let response = serve(&spans, "GET", answer(200, body)).await;
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "ab");
    spans.assert_end(Status::Unset, &[]);
    let id = spans.ended()[0].span_context.span_id();
    assert_eq!(*seen.lock().expect("not poisoned"), [id; 5], "four polls and the drop");
}

#[tokio::test]
async fn an_error_of_the_body_is_the_end() {
    let spans = Spans::new();
    let body = Script::new(vec![data("a"), Err(io::Error::other("disk gone"))]);
    let response = serve(&spans, "GET", answer(200, body)).await;
    assert!(response.into_body().collect().await.is_err());
    spans.assert_end(Status::error(""), &["std::io::error::Error"]);
}

#[tokio::test]
async fn a_panic_of_the_body_is_the_end() {
    let spans = Spans::new();
    let mut body = Script::new(vec![]);
    body.panics = true;
    let response = serve(&spans, "GET", answer(200, body)).await;
    let read = tokio::spawn(response.into_body().collect());
    assert!(read.await.expect_err("panicked").is_panic());
    spans.assert_end(Status::error("the handler panicked"), &["panic"]);
}

#[tokio::test]
async fn a_body_dropped_unread_is_a_caller_who_left() {
    let spans = Spans::new();
    drop(serve(&spans, "GET", answer(200, Full::new(Bytes::from("hello")))).await);
    spans.assert_end(Status::Unset, &["cancelled"]);
    assert_eq!(attribute(&spans.ended()[0], "http.response.status_code"), ["200"]);
}

#[tokio::test]
async fn a_body_dropped_half_way_is_a_caller_who_left() {
    let spans = Spans::new();
    let body = Script::new(vec![data("12345"), data("67890")]).of_length(10);
    let mut response = serve(&spans, "GET", answer(200, body)).await;
    response.body_mut().frame().await.expect("a frame").expect("no error");
    drop(response);
    spans.assert_end(Status::Unset, &["cancelled"]);
}

#[tokio::test]
async fn a_body_dropped_early_is_dropped_in_its_context() {
    for is_read in [false, true] {
        let spans = Spans::new();
        let body = Script::new(vec![data("12345"), data("67890")]);
        let seen = Arc::clone(&body.seen);
        let mut response = serve(&spans, "GET", answer(200, body)).await;
        if is_read {
            response.body_mut().frame().await.expect("a frame").expect("no error");
        }
        assert!(spans.ended().is_empty());
        drop(response);
        assert!(!current().is_valid(), "nothing stays current");
        let id = spans.ended()[0].span_context.span_id();
        let times = if is_read { 2 } else { 1 };
        assert_eq!(*seen.lock().expect("not poisoned"), vec![id; times], "polls, then the drop");
    }
}

#[tokio::test]
async fn a_server_that_has_every_byte_needs_not_ask_for_the_end() {
    let spans = Spans::new();
    let body = Script::new(vec![data("12345")]).of_length(5);
    let mut response = serve(&spans, "GET", answer(200, body)).await;
    response.body_mut().frame().await.expect("a frame").expect("no error");
    assert!(spans.ended().is_empty(), "trailers could follow");
    drop(response);
    spans.assert_end(Status::Unset, &[]);
}

#[tokio::test]
async fn a_response_without_a_body_ends_with_its_head() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 101)] {
        let spans = Spans::new();
        let body = Script::new(vec![data("12345")]).of_length(5);
        let response = serve(&spans, method, answer(status, body)).await;
        spans.assert_end(Status::Unset, &[]);
        drop(response);
        spans.assert_end(Status::Unset, &[]);
    }
    let spans = Spans::new();
    drop(serve(&spans, "GET", answer(200, Empty::<Bytes>::new())).await);
    spans.assert_end(Status::Unset, &[]);
}

#[tokio::test]
async fn only_a_status_of_500_and_above_is_an_error() {
    for (status, expected, error_type) in [
        (200, Status::Unset, None),
        (404, Status::Unset, None),
        (500, Status::error(""), Some("500")),
        (503, Status::error(""), Some("503")),
    ] {
        let spans = Spans::new();
        let response = serve(&spans, "GET", answer(status, Full::new(Bytes::from("x")))).await;
        response.into_body().collect().await.expect("no error");
        spans.assert_end(expected, error_type.as_slice());
    }
}

#[tokio::test]
async fn an_unsampled_stream_is_in_its_context_too() {
    let spans = Spans::new();
    let body = Script::new(vec![data("a")]);
    let seen = Arc::clone(&body.seen);
    let body = Mutex::new(Some(body));
    let handler = service_fn(move |_: Request<()>| {
        let body = body.lock().expect("not poisoned").take().expect("called once");
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let service = ServiceBuilder::new().layer(spans.layer()).service(handler);
    let mut request = request("GET");
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    request.headers_mut().insert("traceparent", unsampled.parse().expect("a value"));
    let response = service.oneshot(request).await.expect("infallible");
    response.into_body().collect().await.expect("no error");
    let remote = SpanId::from(0xb7ad_6b71_6920_3331);
    assert_eq!(*seen.lock().expect("not poisoned"), [remote; 3]);
    assert!(spans.ended().is_empty());
}

#[tokio::test]
async fn what_a_body_says_of_itself_is_passed_on() {
    let spans = Spans::new();
    let full: Body = Full::new(Bytes::from("hello")).boxed_unsync();
    let response = serve(&spans, "GET", answer(200, full)).await;
    assert_eq!(response.body().size_hint().exact(), Some(5));
    assert!(!response.body().is_end_stream());
}

/// What a proxy passes on: the length in the head, and a stream that doesn't know it.
#[tokio::test]
async fn a_length_in_the_head_counts_where_the_body_knows_none() {
    for (promised, error_type) in [("10", &[][..]), ("11", &["cancelled"])] {
        let spans = Spans::new();
        let body = Script::new(vec![data("12345"), data("67890")]);
        let mut answer = answer(200, body);
        answer.headers_mut().insert("content-length", promised.parse().expect("a value"));
        let mut response = serve(&spans, "GET", answer).await;
        for _ in 0..2 {
            response.body_mut().frame().await.expect("a frame").expect("no error");
        }
        drop(response);
        spans.assert_end(Status::Unset, error_type);
    }
}

#[test]
fn layers_outside_may_answer_with_a_body_of_their_own() {
    let body = throughline_tower::ResponseBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
}
