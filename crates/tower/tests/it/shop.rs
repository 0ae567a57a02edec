//! A service on a socket, of HTTP/1 and HTTP/2, with our layer around it.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use throughline_testing::Recorder;
use throughline_tower::ServerLayer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::{Layer, service_fn};

/// Long enough for a machine with other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The service, and what a test says to it.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) recorder: Recorder,
    pub(crate) port: u16,
    /// Its handler was reached, at `/hang`.
    pub(crate) reached: Arc<Notify>,
    /// Whatever waits may go on, at `/torn` and `/trailers`.
    pub(crate) go: Arc<Notify>,
}

fn whole(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shop =
            Shop { recorder: Recorder::new(), port, reached: Arc::default(), go: Arc::default() };
        let layer = ServerLayer::new().with_tracer_provider(&shop.recorder.provider());
        let open = shop.clone();
        let served = move || {
            let shop = open.clone();
            layer.layer(service_fn(move |request| shop.clone().serve(request)))
        };
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(served());
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        shop
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("somebody listens")
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        Ok(match request.uri().path() {
            "/orders" => {
                let order = request.into_body().collect().await.expect("an order").to_bytes();
                assert_eq!(order, "order");
                whole(StatusCode::CREATED, "placed")
            }
            "/closed" => whole(StatusCode::EXPECTATION_FAILED, "come back tomorrow"),
            "/hang" => {
                self.reached.notify_one();
                pending().await
            }
            "/trailers" => self.streamed(|| {
                let checksum = (CHECKSUM, HeaderValue::from_static("7"));
                Ok(Frame::trailers(HeaderMap::from_iter([checksum])))
            }),
            "/torn" => self.streamed(|| Err(io::Error::other("the disk is gone"))),
            path => panic!("nobody asks for {path}"),
        })
    }

    /// Two frames, and when the caller has them, this one. Trailers are announced.
    fn streamed(
        self,
        last: impl Fn() -> Result<Frame<Bytes>, io::Error> + Send + 'static,
    ) -> Response<Body> {
        let frames =
            ["one", "two"].map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
        let last = stream::once(async move {
            self.go.notified().await;
            last()
        });
        let body = StreamBody::new(stream::iter(frames).chain(last)).boxed_unsync();
        let mut answer = Response::new(body);
        answer.headers_mut().insert("trailer", HeaderValue::from_static("x-checksum"));
        answer
    }

    /// The tree, once there are so many spans and every one has ended.
    pub(crate) async fn assert_tree(&self, spans: usize, expected: &str) {
        self.recorder.wait_for(spans, DEADLINE).await.expect("they end");
        self.recorder.assert_all_ended();
        self.recorder.assert_tree(expected);
    }
}
