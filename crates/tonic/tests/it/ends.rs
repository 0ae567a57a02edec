//! Calls that end as nobody has said they would: deadlines, services and streams that fail.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{Full, StreamBody};
use throughline_testing::Recorder;
use throughline_tonic::ServerLayer;
use tokio::sync::Notify;
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::codegen::{Bytes, http};
use tonic::transport::Server;
use tonic::{Code, Request, Status};
use tower::layer::layer_fn;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, service_fn};

use crate::echo::{Client, Echo, text};
use crate::rig::{Rig, assert_tree, channel, endpoint, listed, listen};

/// Long enough for a call to reach its handler.
const SHORT: Duration = Duration::from_millis(500);

/// What tonic says where a deadline has passed.
const EXPIRED: &str = "Timeout expired";

/// It goes along with the call, and both have it; the client's passes first, which began with it.
#[tokio::test]
async fn a_deadline_of_the_caller() {
    let mut rig = Rig::new().await;
    let mut request = Request::new(text("hang"));
    request.set_timeout(SHORT);
    let status = rig.client.unary(request).await.expect_err("too late");
    // tonic says so of a deadline that passed where it was set.
    assert_eq!((status.code(), status.message()), (Code::Cancelled, EXPIRED));
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {error.type=tonic::transport::error::Error} !error\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=cancelled}",
    )
    .await;
}

#[tokio::test]
async fn a_deadline_of_the_channel() {
    let rig = Rig::new().await;
    let mut endpoint = endpoint(rig.port);
    endpoint = endpoint.timeout(SHORT);
    let mut client = Client(tonic::client::Grpc::new(channel(&rig.recorder, &endpoint)));
    let status = client.unary(Request::new(text("hang"))).await.expect_err("too late");
    assert_eq!((status.code(), status.message()), (Code::Cancelled, EXPIRED));
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {error.type=tonic::transport::error::Error} !error\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=cancelled}",
    )
    .await;
}

/// tonic's own timeout stands outside of every layer that a server is given.
#[tokio::test]
async fn a_deadline_of_the_server() {
    let mut rig = Rig::with(listed, |server| server.timeout(SHORT)).await;
    let status = rig.client.unary(Request::new(text("hang"))).await.expect_err("too late");
    assert_eq!((status.code(), status.message()), (Code::Cancelled, EXPIRED));
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=CANCELLED} !error(Timeout expired)\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=cancelled}",
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_was_too_slow_and_says_so() {
    let mut rig = Rig::new().await;
    let status = rig.client.unary(Request::new(text("fail:4:no stock in time"))).await;
    assert_eq!(status.expect_err("too late").code(), Code::DeadlineExceeded);
    let told = "rpc.status_code=DEADLINE_EXCEEDED, error.type=DEADLINE_EXCEEDED";
    rig.assert_tree(&format!(
        "CLIENT test.v1.Echo/Unary {{{told}}} !error(no stock in time)\n  \
         SERVER test.v1.Echo/Unary {{{told}}} !error(no stock in time)"
    ))
    .await;
}

/// Its error has no type to tell, and no status of gRPC.
#[tokio::test]
async fn a_timeout_within_the_layer() {
    let recorder = Recorder::new();
    let (incoming, port) = listen().await;
    let serve = Server::builder()
        .layer(listed(ServerLayer::new()).with_tracer_provider(&recorder.provider()))
        .layer(TimeoutLayer::new(SHORT))
        .add_service(Echo::default())
        .serve_with_incoming(incoming);
    #[expect(clippy::disallowed_methods, reason = "a server of no trace")]
    tokio::spawn(serve);
    let mut client = Client(tonic::client::Grpc::new(channel(&recorder, &endpoint(port))));
    client.unary(Request::new(text("hang"))).await.expect_err("too late");
    assert_tree(
        &recorder,
        "CLIENT test.v1.Echo/Unary {error.type=tonic::transport::error::Error} !error\n  \
         SERVER test.v1.Echo/Unary {error.type=_OTHER} !error",
    )
    .await;
}

/// A server that answers every call so, under our layer and with nothing of tonic's, and a client.
async fn answering<F, E>(answer: F) -> (Recorder, Client)
where
    F: Fn() -> Result<http::Response<Body>, E> + Clone + Send + Sync + 'static,
    E: Into<BoxError> + Send + 'static,
{
    let recorder = Recorder::new();
    let (incoming, port) = listen().await;
    let answering = layer_fn(move |_| {
        let answer = answer.clone();
        service_fn(move |_: http::Request<Body>| ready(answer()))
    });
    let serve = Server::builder()
        .layer(listed(ServerLayer::new()).with_tracer_provider(&recorder.provider()))
        .layer(answering)
        .add_service(Echo::default())
        .serve_with_incoming(incoming);
    #[expect(clippy::disallowed_methods, reason = "a server of no trace")]
    tokio::spawn(serve);
    let client = Client(tonic::client::Grpc::new(channel(&recorder, &endpoint(port))));
    (recorder, client)
}

type Answer = Result<http::Response<Body>, Infallible>;

/// A head that says what kind of answer it is, and no more.
fn head(body: Body) -> http::Response<Body> {
    let head = http::Response::builder().header("content-type", "application/grpc");
    head.body(body).expect("a response")
}

/// A message that says nothing: not packed, and without a length.
const MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

fn frame() -> Result<http_body::Frame<Bytes>, Status> {
    Ok(http_body::Frame::data(MESSAGE))
}

#[tokio::test]
async fn a_service_that_fails_has_no_status_to_tell() {
    let (recorder, mut client) = answering(|| Err(io::Error::other("no stock"))).await;
    client.server_stream(text("a")).await.expect_err("no answer");
    assert_tree(
        &recorder,
        "CLIENT test.v1.Echo/ServerStream {error.type=tonic::transport::error::Error} !error\n  \
         SERVER test.v1.Echo/ServerStream {error.type=std::io::error::Error} !error",
    )
    .await;
    let spans = recorder.spans();
    let server = spans.iter().find(|span| span.parent.is_some()).expect("the server's span");
    assert_eq!(server.attributes.get_str("rpc.status_code"), None);
}

#[tokio::test]
async fn a_stream_that_ends_without_a_status() {
    // One that says that a frame was its last, one that has to be asked, and one without a frame.
    let answers: [fn() -> Answer; 3] = [
        || Ok(head(Body::new(Full::new(MESSAGE)))),
        || Ok(head(Body::new(StreamBody::new(tokio_stream::iter([frame(), frame()]))))),
        || Ok(head(Body::empty())),
    ];
    for answer in answers {
        let (recorder, mut client) = answering(answer).await;
        let texts = client.server_stream(text("a")).await.expect("a head").into_inner();
        drop(texts.collect::<Vec<_>>().await);
        assert_tree(
            &recorder,
            "CLIENT test.v1.Echo/ServerStream {rpc.status_code=UNKNOWN, error.type=UNKNOWN} !error\n  \
             SERVER test.v1.Echo/ServerStream {rpc.status_code=UNKNOWN, error.type=UNKNOWN} !error",
        )
        .await;
    }
}

/// By an error of its own, that nobody has made trailers of.
#[tokio::test]
async fn a_body_that_fails() {
    let read = Arc::new(Notify::new());
    let heard = Arc::clone(&read);
    let (recorder, mut client) = answering(move || {
        let heard = Arc::clone(&heard);
        // Once its first frame has come: what is lost with the connection is none of this.
        let frames = tokio_stream::iter([0, 1]).then(move |index| {
            let heard = Arc::clone(&heard);
            async move {
                if index == 0 {
                    return frame();
                }
                heard.notified().await;
                Err(Status::data_loss("half of it is gone"))
            }
        });
        Answer::Ok(head(Body::new(StreamBody::new(frames))))
    })
    .await;
    let mut texts = client.server_stream(text("a")).await.expect("a head").into_inner();
    assert_eq!(texts.message().await.expect("no error"), Some(text("")));
    read.notify_one();
    texts.message().await.expect_err("it broke off");
    assert_tree(
        &recorder,
        "CLIENT test.v1.Echo/ServerStream {error.type=tonic::status::Status} !error\n  \
         SERVER test.v1.Echo/ServerStream {error.type=tonic::status::Status} !error",
    )
    .await;
}
