//! What people do with `tracing::Span::current()`, in a handler under our layer: it is no request
//! span any more. Each idiom works, or has its replacement beside it.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get as on_get;
use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt};
use throughline::core::Config;
use throughline::core::W3cPropagator;
use throughline::{boundary, task};
use tracing::{Span, field, instrument};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::parts::{Parts, TRACE, get};

/// Runs a handler under our layers.
async fn handle<F: Future<Output = ()> + Send + 'static>(
    parts: &Parts,
    handler: impl Fn() -> F + Clone + Send + Sync + 'static,
) {
    let registry = tracing_subscriber::registry().with(parts.otel_layer());
    let _default = tracing::subscriber::set_default(registry);
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    get(&app, "01").await;
}

/// Injects by hand.
fn inject(context: &Context) -> Option<String> {
    let mut headers = HeaderMap::new();
    Config::new("by hand", "1").with_propagator(W3cPropagator::new()).inject(context, &mut headers);
    headers.get("traceparent").map(|value| value.to_str().expect("text").to_owned())
}

#[tokio::test]
async fn a_field_that_is_recorded() {
    let parts = Parts::new();
    handle(&parts, async || {
        // Nobody's.
        Span::current().record("user.id", 7);
        // Instead:
        boundary().set_attribute("user.name", "ada");
        in_a_span().await;
    })
    .await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} {user.name=ada, deep=true}
          INTERNAL in_a_span {user.id=7}
        ",
    );
    assert!(parts.span("GET /orders/{id}").attributes.get("user.id").is_none());

    #[instrument(fields(user.id = field::Empty))]
    async fn in_a_span() {
        Span::current().record("user.id", 7);
        boundary().set_attribute("deep", true);
    }
}

#[tokio::test]
async fn an_attribute_that_is_set() {
    let parts = Parts::new();
    handle(&parts, async || {
        Span::current().set_attribute("user.id", 7);
        // Instead:
        boundary().set_attribute("user.name", "ada");
        in_a_span().await;
    })
    .await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} {user.name=ada}
          INTERNAL in_a_span {user.id=7}
        ",
    );
    assert!(parts.span("GET /orders/{id}").attributes.get("user.id").is_none());

    #[instrument]
    async fn in_a_span() {
        Span::current().set_attribute("user.id", 7);
    }
}

#[tokio::test]
async fn a_status_that_is_set() {
    let parts = Parts::new();
    handle(&parts, async || {
        Span::current().set_status(Status::error("nobody hears it"));
        // Instead:
        boundary().fail(&io::Error::other("no stock"));
        in_a_span().await;
    })
    .await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} !error(no stock) {error.type=std::io::error::Error}
          INTERNAL in_a_span !error(here it is)
        ",
    );

    #[instrument]
    async fn in_a_span() {
        Span::current().set_status(Status::error("here it is"));
    }
}

#[tokio::test]
async fn a_context_that_is_injected_by_hand() {
    let parts = Parts::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    handle(&parts, move || {
        let tell = Arc::clone(&tell);
        async move {
            let outside = [inject(&Span::current().context()), inject(&Context::current())];
            let inside = in_a_span().await;
            tell.lock().expect("not poisoned").extend(outside.into_iter().chain(inside));
        }
    })
    .await;
    let by = |name| {
        let span = parts.span(name);
        Some(format!("00-{TRACE}-{}-01", span.span_id))
    };
    let (server, inner) = (by("GET /orders/{id}"), by("in_a_span"));
    // Lost, unless it is asked of OpenTelemetry; inside of a span both are right.
    assert_eq!(*told.lock().expect("not poisoned"), [None, server, inner.clone(), inner]);

    #[instrument]
    async fn in_a_span() -> [Option<String>; 2] {
        [inject(&Span::current().context()), inject(&Context::current())]
    }
}

#[tokio::test]
async fn a_parent_that_is_set() {
    let parts = Parts::new();
    handle(&parts, async || {
        let elsewhere = Context::new();
        // There is nothing to set it of, and later it is too late: the layer has done it.
        assert!(Span::current().set_parent(elsewhere).is_err());
        in_a_span().await;
    })
    .await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id}
          INTERNAL in_a_span
        ",
    );

    #[instrument]
    async fn in_a_span() {
        assert!(Span::current().set_parent(Context::new()).is_err());
    }
}

#[tokio::test]
async fn the_ids_that_are_told_to_the_caller() {
    let parts = Parts::new();
    handle(&parts, async || {
        let by_span = Span::current().context().span().span_context().is_valid();
        assert!(!by_span, "nobody's");
        // Instead:
        let ids = boundary().span_context().expect("it is recorded");
        assert_eq!(ids.trace_id().to_string(), TRACE);
        assert_eq!(Context::current().span().span_context(), &ids);
    })
    .await;
    parts.recorder.assert_tree("SERVER GET /orders/{id}");
}

#[tokio::test]
async fn the_ids_of_a_request_that_is_not_sampled() {
    let parts = Parts::new();
    let registry = tracing_subscriber::registry().with(parts.otel_layer());
    let _default = tracing::subscriber::set_default(registry);
    let handler = async || {
        assert_eq!(boundary().span_context(), None);
        let current = Context::current().span().span_context().clone();
        assert_eq!((current.trace_id().to_string().as_str(), current.is_sampled()), (TRACE, false));
    };
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    get(&app, "00").await;
}

#[tokio::test]
async fn the_request_is_reached_after_a_spawn_and_from_inside_of_a_span() {
    let parts = Parts::new();
    handle(&parts, async || {
        let spawned = task::spawn(async { boundary().set_attribute("spawned", true) });
        spawned.await.expect("no panic");
        in_a_span().await;
    })
    .await;
    parts.recorder.assert_tree(
        "
        SERVER GET /orders/{id} !error(no stock) {spawned=true}
          INTERNAL in_a_span !error
        ",
    );

    #[instrument]
    async fn in_a_span() {
        // Its log record is an event of this span, which says that here was the error.
        boundary().fail(&io::Error::other("no stock"));
    }
}

#[tokio::test]
async fn an_event_outside_of_every_span_is_on_none() {
    let parts = Parts::new();
    handle(&parts, async || {
        tracing::error!("of the log only");
        // Instead:
        Context::current().span().add_event("of the span, too", Vec::new());
        in_a_span().await;
    })
    .await;
    let events = |name| {
        let events = parts.span(name).events;
        events.into_iter().map(|event| event.name).collect::<Vec<_>>()
    };
    assert_eq!(events("GET /orders/{id}"), ["of the span, too"]);
    assert_eq!(events("in_a_span"), ["of its span"]);

    #[instrument]
    async fn in_a_span() {
        tracing::info!("of its span");
    }
}
