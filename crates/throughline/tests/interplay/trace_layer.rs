//! tower-http's `TraceLayer`, outside and inside of ours, under our layer and under a foreign one.

use axum::Router;
use axum::routing::get as on_get;
use opentelemetry::trace::TracerProvider;
use tower_http::classify::{ServerErrorsAsFailures, SharedClassifier};
use tower_http::trace::{DefaultMakeSpan, TraceLayer};
use tracing::{Level, instrument};
use tracing_subscriber::layer::SubscriberExt;

use crate::parts::{Parts, call, get};

#[instrument]
async fn reserve() {}

fn routes(parts: &Parts) -> Router {
    let http = parts.http.clone();
    let handler = async move || {
        reserve().await;
        call(&http).await;
    };
    Router::new().route("/orders/{id}", on_get(handler))
}

/// At a level that is exported, as most people have it.
fn trace_layer() -> TraceLayer<SharedClassifier<ServerErrorsAsFailures>> {
    TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().level(Level::INFO))
}

fn outside(parts: &Parts) -> Router {
    routes(parts).layer(parts.layer()).layer(trace_layer())
}

fn inside(parts: &Parts) -> Router {
    routes(parts).layer(trace_layer()).layer(parts.layer())
}

const OURS: &str = "
    SERVER GET /orders/{id}
      INTERNAL reserve
      CLIENT POST
    ";

#[tokio::test]
async fn under_our_layer_it_makes_no_span_wherever_it_stands() {
    for app in [outside, inside] {
        let parts = Parts::new();
        let registry = tracing_subscriber::registry().with(parts.otel_layer());
        let _default = tracing::subscriber::set_default(registry);
        get(&app(&parts), "01").await;
        parts.recorder.assert_one_trace();
        parts.recorder.assert_tree(OURS);
        parts.assert_sent_by("POST");
    }
}

/// A root outside, a child inside: of the span that somebody gave it.
const AROUND: [(bool, &str); 2] = [
    (
        true,
        // A trace of its own for each request, and ours goes on all the same.
        "
        INTERNAL http-request
        SERVER GET /orders/{id}
          INTERNAL reserve
          CLIENT POST
        ",
    ),
    (
        false,
        "
        SERVER GET /orders/{id}
          INTERNAL http-request
            INTERNAL reserve
            CLIENT POST
        ",
    ),
];

#[tokio::test]
async fn a_span_that_somebody_made_for_it_is_as_any_other_of_theirs() {
    for (is_outside, tree) in AROUND {
        let parts = Parts::new();
        let registry = tracing_subscriber::registry().with(parts.otel_layer());
        let _default = tracing::subscriber::set_default(registry);
        let made = || {
            TraceLayer::new_for_http()
                .make_span_with(|_: &axum::http::Request<_>| tracing::info_span!("http-request"))
        };
        let app = match is_outside {
            true => routes(&parts).layer(parts.layer()).layer(made()),
            false => routes(&parts).layer(made()).layer(parts.layer()),
        };
        get(&app, "01").await;
        parts.recorder.assert_tree(tree);
        parts.assert_sent_by("POST");
    }
}

#[tokio::test]
async fn under_a_foreign_layer_it_makes_a_root_outside_and_a_child_inside() {
    let trees = [
        (
            outside as fn(&Parts) -> Router,
            // A trace of its own for each request, and ours goes on all the same.
            "
            INTERNAL request
            SERVER GET /orders/{id}
              INTERNAL reserve
              CLIENT POST
            ",
        ),
        (
            inside,
            "
            SERVER GET /orders/{id}
              INTERNAL request
                INTERNAL reserve
                CLIENT POST
            ",
        ),
    ];
    for (app, tree) in trees {
        let parts = Parts::new();
        let foreign = tracing_opentelemetry::layer()
            .with_tracer(parts.recorder.provider().sdk().tracer("foreign"));
        let registry = tracing_subscriber::registry().with(foreign);
        let _default = tracing::subscriber::set_default(registry);
        get(&app(&parts), "01").await;
        parts.recorder.assert_tree(tree);
        parts.assert_sent_by("POST");
    }
}
