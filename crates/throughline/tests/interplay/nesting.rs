//! Spans of `tracing` between ours, and filters that take them away.

use axum::Router;
use axum::routing::get as on_get;
use reqwest_middleware::ClientWithMiddleware;
use throughline::{boundary, task};
use tracing::instrument;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::parts::{Parts, TRACE, call, get};

#[instrument(skip_all)]
async fn place(http: &ClientWithMiddleware) {
    reserve(http).await;
    // As deep as this, it is the request's.
    boundary().set_attribute("order.id", 42);
}

#[instrument(skip_all)]
async fn reserve(http: &ClientWithMiddleware) {
    call(http).await;
}

#[instrument]
async fn audit() {}

fn app(parts: &Parts) -> Router {
    let http = parts.http.clone();
    let handler = async move || {
        place(&http).await;
        // And it goes on in a task.
        task::spawn(audit()).await.expect("no panic");
    };
    Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer())
}

#[tokio::test]
async fn spans_of_tracing_stand_between_the_request_and_its_calls() {
    let parts = Parts::new();
    let registry = tracing_subscriber::registry().with(parts.otel_layer());
    let _default = tracing::subscriber::set_default(registry);
    get(&app(&parts), "01").await;
    parts.recorder.assert_one_trace();
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} {order.id=42}
          INTERNAL place
            INTERNAL reserve
              CLIENT POST
          INTERNAL audit
        ",
    );
    parts.assert_sent_by("POST");
}

#[tokio::test]
async fn a_filter_takes_spans_of_tracing_and_not_the_trace() {
    for filter in ["error", "off"] {
        let parts = Parts::new();
        // For every layer of the registry, which no one should do.
        let registry =
            tracing_subscriber::registry().with(EnvFilter::new(filter)).with(parts.otel_layer());
        let _default = tracing::subscriber::set_default(registry);
        get(&app(&parts), "01").await;
        parts.recorder.assert_tree(
            "
            SERVER GET /orders/{id} {order.id=42}
              CLIENT POST
            ",
        );
        parts.assert_sent_by("POST");
    }
}

#[tokio::test]
async fn without_a_subscriber_the_trace_is_whole() {
    let parts = Parts::new();
    let _none = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    get(&app(&parts), "01").await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} {order.id=42}
          CLIENT POST
        ",
    );
    parts.assert_sent_by("POST");
}

#[tokio::test]
async fn an_unsampled_trace_goes_through_spans_of_tracing() {
    let parts = Parts::new();
    let registry = tracing_subscriber::registry().with(parts.otel_layer());
    let _default = tracing::subscriber::set_default(registry);
    get(&app(&parts), "00").await;
    assert!(parts.recorder.spans().is_empty());
    let sent = parts.sent();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
}
