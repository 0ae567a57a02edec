//! A foreign layer whose context activation is off: what is lost then, and what is not.

use axum::Router;
use axum::routing::get as on_get;
use opentelemetry::trace::TracerProvider;
use reqwest_middleware::ClientWithMiddleware;
use tracing::{Instrument, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt;

use crate::parts::{Parts, call, get};

#[instrument(skip_all)]
async fn place(http: &ClientWithMiddleware) {
    reserve().await;
    call(http).await;
}

#[instrument]
async fn reserve() {}

/// The tree of one request; `outer` is whether a span of `tracing` is around the layer.
async fn request(parts: &Parts, activation: bool, outer: bool) {
    let foreign = tracing_opentelemetry::layer()
        .with_tracer(parts.recorder.provider().sdk().tracer("foreign"))
        .with_context_activation(activation);
    let registry = tracing_subscriber::registry().with(foreign);
    let _default = tracing::subscriber::set_default(registry);
    let http = parts.http.clone();
    let handler = async move || place(&http).await;
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    if outer {
        get(&app, "01").instrument(info_span!("loop")).await;
    } else {
        get(&app, "01").await;
    }
}

#[tokio::test]
async fn with_it_all_is_in_its_place() {
    let parts = Parts::new();
    request(&parts, true, true).await;
    parts.recorder.assert_tree(
        "
        INTERNAL loop
        SERVER GET /orders/{id}
          INTERNAL place
            INTERNAL reserve
            CLIENT POST
        ",
    );
}

#[tokio::test]
async fn without_it_a_call_is_the_requests_and_not_its_spans() {
    let parts = Parts::new();
    request(&parts, false, false).await;
    parts.recorder.assert_one_trace();
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id}
          INTERNAL place
            INTERNAL reserve
          CLIENT POST
        ",
    );
    parts.assert_sent_by("POST");
}

/// The limit: such a layer asks the span of `tracing` first, and no boundary can stand between.
#[tokio::test]
async fn without_it_a_span_around_the_layer_takes_those_of_the_handler_away() {
    let parts = Parts::new();
    request(&parts, false, true).await;
    parts.recorder.assert_tree(
        "
        INTERNAL loop
          INTERNAL place
            INTERNAL reserve
        SERVER GET /orders/{id}
          CLIENT POST
        ",
    );
    // What goes out keeps the trace.
    parts.assert_sent_by("POST");
}
