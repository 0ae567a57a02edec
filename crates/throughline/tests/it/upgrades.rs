//! Sockets that were upgraded: the handshake's span ends at the switch, and what the socket is for
//! goes on below it.

use axum::Router;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use opentelemetry::trace::{Tracer, TracerProvider};
use reqwest_middleware::ClientWithMiddleware;
use throughline::task::{self, Here};
use throughline_testing::lineage::Span;
use throughline_testing::{RecordedTracer, Recorder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::services::{DEADLINE, client, start};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

/// What a socket needs to answer a question: a span of its own, and somebody else to ask.
#[derive(Clone)]
struct Desk {
    tracer: RecordedTracer,
    http: ClientWithMiddleware,
    stock: String,
}

impl Desk {
    async fn new(recorder: &Recorder) -> Self {
        let routes = Router::new().route("/stock", get(async || "seven"));
        let stock = format!("http://{}/stock", start(recorder, "stock", routes).await);
        let tracer = recorder.provider_for("orders").tracer("desk");
        Desk { tracer, http: client(recorder, "orders"), stock }
    }

    async fn answer(&self) -> String {
        self.tracer.in_span("look up", |_| ());
        let answer = self.http.get(&self.stock).send().await.expect("answered");
        answer.text().await.expect("read")
    }

    /// Answers each message, until the caller goes.
    async fn serve(self, mut socket: WebSocket) {
        while let Some(Ok(Message::Text(_))) = socket.recv().await {
            let answer = self.answer().await;
            socket.send(Message::text(answer)).await.expect("somebody listens");
        }
    }
}

/// A WebSocket's caller, in a trace of his own. He asks when the handshake's span has ended.
async fn ask(recorder: &Recorder, orders: &str) {
    let stream = TcpStream::connect(orders).await.expect("somebody listens");
    let mut request = format!("ws://{orders}/feed").into_client_request().expect("a request");
    let parent = format!("00-{TRACE}-{SENDER}-01").parse().expect("a value");
    request.headers_mut().insert("traceparent", parent);
    let (mut socket, answer) = client_async(request, stream).await.expect("the handshake");
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);

    let spans = recorder.wait_for(1, DEADLINE).await.expect("the handshake's span ends");
    assert_eq!((spans.len(), spans[0].name.as_str()), (1, "GET /feed"));
    assert!(recorder.open_spans().is_empty());
    socket.send("how many?".into()).await.expect("sent");
    let answer = tokio::time::timeout(DEADLINE, socket.next()).await.expect("in time");
    assert_eq!(answer.expect("an answer").expect("readable").to_text().expect("text"), "seven");
    socket.close(None).await.expect("closed");
}

#[track_caller]
fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).expect(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_websocket_is_for_goes_on_below_its_handshake() {
    let recorder = Recorder::new();
    let desk = Desk::new(&recorder).await;
    let feed = async move |upgrade: WebSocketUpgrade| -> Response {
        let here = Here::new();
        upgrade.on_upgrade(move |socket| here.run(desk.serve(socket)))
    };
    let orders = start(&recorder, "orders", Router::new().route("/feed", get(feed))).await;

    ask(&recorder, &orders).await;
    let spans = recorder.wait_for(4, DEADLINE).await.expect("four spans end");
    recorder.assert_all_ended();
    recorder.assert_no_orphans();
    recorder.assert_one_trace();
    recorder.assert_tree(
        "
        SERVER GET /feed [orders] {http.request.method=GET, http.route=/feed, url.path=/feed, url.scheme=http, http.response.status_code=101, network.protocol.version=1.1}
          INTERNAL look up [orders]
          CLIENT GET [orders] {http.response.status_code=200}
            SERVER GET /stock [stock]
        ",
    );
    let (handshake, work) = (find(&spans, "GET /feed"), find(&spans, "look up"));
    assert_eq!(handshake.trace_id.to_string(), TRACE);
    assert_eq!(handshake.parent.map(|id| id.to_string()).as_deref(), Some(SENDER));
    assert!(handshake.attributes.get("error.type").is_none(), "{handshake:?}");
    assert!(handshake.end_time_unix_nano <= work.start_time_unix_nano);
}

/// Why it has to be carried.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_context_of_the_handshake_it_is_in_pieces() {
    let recorder = Recorder::new();
    let desk = Desk::new(&recorder).await;
    let feed = async move |upgrade: WebSocketUpgrade| -> Response {
        upgrade.on_upgrade(move |socket| desk.serve(socket))
    };
    let orders = start(&recorder, "orders", Router::new().route("/feed", get(feed))).await;

    ask(&recorder, &orders).await;
    recorder.wait_for(4, DEADLINE).await.expect("four spans end");
    recorder.check_no_orphans().expect_err("they have lost their context");
    recorder.assert_tree(
        "
        SERVER GET /feed [orders]
        INTERNAL look up [orders]
        CLIENT GET [orders]
          SERVER GET /stock [stock]
        ",
    );
}

/// A protocol of one's own, by hyper's upgrade on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_any_other_switch_goes_on_below_it() {
    let recorder = Recorder::new();
    let desk = Desk::new(&recorder).await;
    let lines = async move |request: Request| {
        let upgraded = hyper::upgrade::on(request);
        task::spawn(async move {
            let mut socket = TokioIo::new(upgraded.await.expect("switched"));
            let mut question = [0; 9];
            socket.read_exact(&mut question).await.expect("a question");
            socket.write_all(desk.answer().await.as_bytes()).await.expect("told");
        });
        let head = [(CONNECTION, "upgrade"), (UPGRADE, "questions")];
        (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
    };
    let orders = start(&recorder, "orders", Router::new().route("/lines", get(lines))).await;

    let request = client(&recorder, "gateway").get(format!("http://{orders}/lines"));
    let request = request.header(CONNECTION, "upgrade").header(UPGRADE, "questions");
    let answer = request.send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut socket = answer.upgrade().await.expect("switched");
    // Both ends of the handshake are over before anything is said.
    recorder.wait_for(2, DEADLINE).await.expect("two spans end");
    assert!(recorder.open_spans().is_empty());
    socket.write_all(b"how many?").await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("told");
    assert_eq!(answer, "seven");

    recorder.wait_for(5, DEADLINE).await.expect("five spans end");
    recorder.assert_all_ended();
    recorder.assert_one_trace();
    recorder.assert_tree(
        "
        CLIENT GET [gateway] {http.response.status_code=101}
          SERVER GET /lines [orders] {http.response.status_code=101}
            INTERNAL look up [orders]
            CLIENT GET [orders]
              SERVER GET /stock [stock]
        ",
    );
}
