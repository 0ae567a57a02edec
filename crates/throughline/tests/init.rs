//! What was built before start-up takes part in it. A process of its own, since `init` is for
//! once.

#![allow(clippy::expect_used)]
#![expect(clippy::disallowed_methods, reason = "a server and a shutdown are of no trace")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use throughline::axum::ServerLayer;
use throughline::reqwest::ClientMiddleware;
use throughline::telemetry::{Logs, Telemetry};
use throughline_testing::embedded::Collector;
use throughline_testing::tree::assert_tree;
use tower::ServiceExt;
use tracing::instrument;

#[instrument]
async fn reserve() {}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_and_a_client_built_before_init_work() {
    let collector = Collector::start().await.expect("a free port");
    // A server for the client; it has no layer, so its answers leave no span.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let stock = Router::new().route("/", get(async || "in stock"));
    tokio::spawn(async move { axum::serve(listener, stock).await });

    let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(ClientMiddleware::new())
        .build();
    let handler = async move || {
        reserve().await;
        http.get(url).send().await.map_or("nobody answers", |_| "ordered")
    };
    let app = Router::new().route("/orders", get(handler)).layer(ServerLayer::new());
    let place = async || {
        let request = Request::get("/orders").body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("infallible");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error")
    };

    // Used before, even: there is nobody to record it yet.
    assert_eq!(place().await, "ordered");

    let telemetry = Telemetry::builder("orders")
        .endpoint(collector.endpoint())
        .logs(Logs::json().writer(std::io::sink))
        .init()
        .expect("the first in this process");
    assert_eq!(place().await, "ordered");
    let stopped = tokio::task::spawn_blocking(|| telemetry.shutdown()).await;
    stopped.expect("no panic").expect("every span is sent");

    let spans = collector.wait_for(3, Duration::from_secs(20)).await.expect("three spans come");
    assert_tree(
        &spans,
        "
        SERVER GET /orders [orders]
          INTERNAL reserve [orders]
          CLIENT GET [orders]
        ",
    );
}

/// `let _ = init(..)` ends telemetry where it begins. Clippy has to see it: where it doesn't, these
/// expectations are warnings.
#[test]
fn clippy_sees_a_guard_that_is_thrown_away() {
    let never = || -> Result<(), throughline::telemetry::InitError> {
        #[expect(clippy::let_underscore_must_use, reason = "the mistake itself")]
        let _ = throughline::telemetry::init("orders");
        #[expect(clippy::let_underscore_must_use, reason = "the mistake itself")]
        let _ = throughline::telemetry::init("orders")?;
        Ok(())
    };
    let _never_called = never;
}
