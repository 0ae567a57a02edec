//! The ways an order dies, and the tree each leaves.

use std::convert::Infallible;
use std::future::pending;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use futures_util::StreamExt;
use throughline::task;
use throughline_testing::Recorder;

use crate::services::{Caller, DEADLINE, Signal, client, start};

/// `gateway`, which hands every order on to `orders` and answers with its answer.
async fn gateway(recorder: &Recorder, orders: &str) -> String {
    let (http, url) = (client(recorder, "gateway"), format!("http://{orders}/orders"));
    let place = async move || match http.post(url).send().await {
        Ok(answer) => {
            let status = answer.status();
            (status, answer.bytes().await.unwrap_or_default()).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    };
    start(recorder, "gateway", Router::new().route("/orders", post(place))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_hangs_up_half_way() {
    let recorder = Recorder::new();
    let (reached, released) = (Signal::new(), Signal::new());
    let handler = {
        let (reached, released) = (reached.clone(), released.clone());
        let tracer = recorder.provider_for("orders");
        async move || {
            // What an order has set going is finished, though nobody waits for it any more.
            task::spawn(async move {
                use opentelemetry::trace::{Span, Tracer, TracerProvider};
                let mut audit = tracer.tracer("audit").start("audit");
                released.heard().await;
                audit.end();
            });
            reached.tell();
            pending::<()>().await;
        }
    };
    let orders = start(&recorder, "orders", Router::new().route("/orders", post(handler))).await;
    let gateway = gateway(&recorder, &orders).await;

    let caller = Caller::post(&gateway, "/orders").await;
    reached.heard().await;
    caller.hang_up();
    // The three of them, and only then the task that was spawned.
    recorder.wait_for(3, DEADLINE).await.expect("three spans end");
    released.tell();
    recorder.wait_for(4, DEADLINE).await.expect("four spans end");

    recorder.assert_all_ended();
    recorder.assert_no_orphans();
    recorder.assert_one_trace();
    recorder.assert_tree(
        "
        SERVER POST /orders [gateway] {error.type=cancelled}
          CLIENT POST [gateway] {error.type=cancelled}
            SERVER POST /orders [orders] {error.type=cancelled}
              INTERNAL audit [orders]
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handler_panics() {
    let recorder = Recorder::new();
    let handler = async || -> StatusCode { panic!("out of paper") };
    let orders = start(&recorder, "orders", Router::new().route("/orders", post(handler))).await;
    let gateway = gateway(&recorder, &orders).await;

    Caller::post(&gateway, "/orders").await.read_until("502").await;
    recorder.wait_for(3, DEADLINE).await.expect("three spans end");

    recorder.assert_all_ended();
    recorder.assert_no_orphans();
    recorder.assert_one_trace();
    recorder.assert_tree(
        "
        SERVER POST /orders [gateway] !error {error.type=502, http.response.status_code=502}
          CLIENT POST [gateway] !error {error.type=request}
            SERVER POST /orders [orders] !error(the handler panicked) {error.type=panic}
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_dropped_unread() {
    let recorder = Recorder::new();
    // A body that never ends, so that it can't be through before it is dropped.
    let handler = async || {
        let endless = futures_util::stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"x")));
        Body::from_stream(endless)
    };
    let orders = start(&recorder, "orders", Router::new().route("/orders", post(handler))).await;
    let (http, url) = (client(&recorder, "gateway"), format!("http://{orders}/orders"));
    let place = async move || {
        http.post(url).send().await.map_or(StatusCode::BAD_GATEWAY, |_| StatusCode::OK)
    };
    let routes = Router::new().route("/orders", post(place));
    let gateway = start(&recorder, "gateway", routes).await;

    Caller::post(&gateway, "/orders").await.read_until("200").await;
    recorder.wait_for(3, DEADLINE).await.expect("three spans end");

    recorder.assert_all_ended();
    recorder.assert_no_orphans();
    recorder.assert_one_trace();
    recorder.assert_tree(
        "
        SERVER POST /orders [gateway] {http.response.status_code=200}
          CLIENT POST [gateway] {http.response.status_code=200}
            SERVER POST /orders [orders] {error.type=cancelled, http.response.status_code=200}
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_hangs_up_in_the_middle_of_a_stream() {
    let recorder = Recorder::new();
    let handler = async || {
        let first =
            futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"packed"))]);
        Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let orders = start(&recorder, "orders", Router::new().route("/orders", post(handler))).await;

    let mut caller = Caller::post(&orders, "/orders").await;
    caller.read_until("packed").await;
    assert!(recorder.spans().is_empty(), "the span lives as long as its stream");
    caller.hang_up();
    recorder.wait_for(1, DEADLINE).await.expect("the span ends");

    recorder.assert_all_ended();
    recorder.assert_tree(
        "
        SERVER POST /orders [orders] {error.type=cancelled, http.response.status_code=200}
        ",
    );
}

/// What a server says when it has sent all: a body with a length, one without, and none.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_goes_well_is_not_cancelled() {
    let recorder = Recorder::new();
    let sized = async || "packed";
    let streamed = async || {
        let parts =
            ["pa", "cked"].map(|part| Ok::<_, Infallible>(Bytes::from_static(part.as_bytes())));
        Body::from_stream(futures_util::stream::iter(parts))
    };
    let empty = async || StatusCode::NO_CONTENT;
    let routes = Router::new()
        .route("/sized", post(sized).get(sized))
        .route("/streamed", post(streamed))
        .route("/empty", post(empty));
    let orders = start(&recorder, "orders", routes).await;
    let http = client(&recorder, "gateway");
    for path in ["sized", "streamed", "empty"] {
        let answer = http.post(format!("http://{orders}/{path}")).send().await.expect("answered");
        answer.bytes().await.expect("read");
    }
    // HEAD has a length, and no body that anybody polls.
    let head = http.head(format!("http://{orders}/sized")).send().await.expect("answered");
    assert_eq!(head.status(), StatusCode::OK);
    recorder.wait_for(8, DEADLINE).await.expect("eight spans end");

    recorder.assert_all_ended();
    recorder.assert_tree(
        "
        CLIENT POST [gateway]
          SERVER POST /sized [orders]
        CLIENT POST [gateway]
          SERVER POST /streamed [orders]
        CLIENT POST [gateway]
          SERVER POST /empty [orders]
        CLIENT HEAD [gateway]
          SERVER HEAD /sized [orders]
        ",
    );
    assert!(recorder.spans().iter().all(|span| {
        span.attributes.get_str("error.type").is_none_or(|kind| kind != "cancelled")
    }));
}
