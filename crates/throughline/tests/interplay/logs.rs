//! What a line of the log tells of its request.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get as on_get;
use serde_json::Value;
use throughline::task;
use throughline::telemetry::Logs;
use tokio::sync::oneshot;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::subscriber::DefaultGuard;
use tracing::{Level, instrument};
use tracing_subscriber::layer::SubscriberExt;

use crate::parts::{Parts, SENDER, TRACE, get};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }

    #[track_caller]
    fn line(&self, message: &str) -> Value {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        let mut found = lines.filter(|line| line["message"] == message);
        found.next().unwrap_or_else(|| panic!("no {message:?} in\n{text}"))
    }
}

/// Logs as `init` does, to the buffer.
fn log(parts: &Parts, logs: Logs) -> (Buffer, DefaultGuard) {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = logs.writer(move || writer.clone()).layer();
    let registry = tracing_subscriber::registry().with(parts.otel_layer()).with(layer);
    (buffer, tracing::subscriber::set_default(registry))
}

// At a level that a developer's `RUST_LOG` lets pass, unless it is `off`.
#[instrument(level = "error")]
async fn reserve() {
    tracing::error!("in a span");
}

#[tokio::test]
async fn every_line_of_a_request_has_its_ids_its_method_and_its_route() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::json());
    let (answered, is_answered) = oneshot::channel();
    let (told, is_told) = oneshot::channel();
    let ends = Arc::new(Mutex::new(Some((is_answered, told))));
    let handler = async move || {
        tracing::error!("outside");
        reserve().await;
        let (is_answered, told) = ends.lock().expect("not poisoned").take().expect("called once");
        task::spawn(async move {
            is_answered.await.expect("told");
            tracing::error!("later");
            told.send(()).expect("waited for");
        });
    };
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    get(&app, "01").await;
    tracing::error!("nobody's");
    answered.send(()).expect("waited for");
    is_told.await.expect("told");

    let server = parts.span("GET /orders/{id}").span_id.to_string();
    let reserve = parts.span("reserve").span_id.to_string();
    for (message, span) in [("outside", &server), ("in a span", &reserve), ("later", &server)] {
        let line = buffer.line(message);
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(line["span_id"], *span, "{line}");
        assert_eq!(line["trace_flags"], "01", "{line}");
        assert_eq!(line["http.request.method"], "GET", "{line}");
        assert_eq!(line["http.route"], "/orders/{id}", "{line}");
    }
    let line = buffer.line("nobody's");
    for key in ["trace_id", "http.request.method", "http.route"] {
        assert!(line.get(key).is_none(), "{line}");
    }
}

#[tokio::test]
async fn what_is_not_recorded_has_ids_and_no_more() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::json());
    let handler = async || tracing::error!("unsampled");
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    get(&app, "00").await;
    let line = buffer.line("unsampled");
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &SENDER.into()));
    assert!(line.get("http.request.method").is_none() && line.get("http.route").is_none());
}

#[tokio::test]
async fn a_request_without_a_route_has_its_method() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::json());
    let app = Router::new().fallback(async || tracing::error!("lost")).layer(parts.layer());
    get(&app, "01").await;
    let line = buffer.line("lost");
    assert_eq!(line["http.request.method"], "GET");
    assert!(line.get("http.route").is_none(), "{line}");
}

/// The layer outside of `nest_service` learns the route from the one inside.
#[tokio::test]
async fn a_route_that_is_found_later_is_told_from_then_on() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::json());
    let handler = async || tracing::error!("nested");
    let inner = Router::new().route("/{id}", on_get(handler)).layer(parts.layer());
    let app = Router::new().nest_service("/orders", inner).layer(parts.layer());
    get(&app, "01").await;
    let line = buffer.line("nested");
    assert_eq!(line["http.route"], "/orders/{id}");
    parts.recorder.assert_tree("SERVER GET /orders/{id} {http.route=/orders/{id}}");
}

#[tokio::test]
async fn a_line_for_people_tells_the_same() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::human());
    let handler = async || tracing::error!("outside");
    let app = Router::new().route("/orders/{id}", on_get(handler)).layer(parts.layer());
    get(&app, "01").await;
    let text = buffer.text();
    // Quoted, as every value that has braces.
    let told = r#" http.request.method=GET http.route="/orders/{id}" trace_id="#;
    assert!(text.contains(told), "{text}");
}

#[tokio::test]
async fn the_lines_of_a_trace_layer_have_the_ids_if_it_stands_inside() {
    let layer = || {
        let finished = DefaultOnResponse::new().level(Level::ERROR);
        TraceLayer::new_for_http().on_response(finished)
    };
    for is_inside in [true, false] {
        let parts = Parts::new();
        let (buffer, _default) = log(&parts, Logs::json());
        let routes = Router::new().route("/orders/{id}", on_get(async || ()));
        let app = if is_inside {
            routes.layer(layer()).layer(parts.layer())
        } else {
            routes.layer(parts.layer()).layer(layer())
        };
        get(&app, "01").await;
        let line = buffer.line("finished processing request");
        assert_eq!(line["trace_id"] == TRACE, is_inside, "{line}");
        assert_eq!(line["http.route"] == "/orders/{id}", is_inside, "{line}");
    }
}

#[tokio::test]
async fn the_line_of_a_panic_has_the_ids_if_it_is_caught_inside() {
    for is_inside in [true, false] {
        let parts = Parts::new();
        let (buffer, _default) = log(&parts, Logs::json());
        let panics = async || -> () { panic!("out of paper") };
        let routes = Router::new().route("/orders/{id}", on_get(panics));
        let app = if is_inside {
            routes.layer(CatchPanicLayer::new()).layer(parts.layer())
        } else {
            routes.layer(parts.layer()).layer(CatchPanicLayer::new())
        };
        let request = Request::get("/orders/42").body(Body::empty()).expect("a request");
        app.oneshot(request).await.expect("infallible");
        let line = buffer.line("Service panicked: out of paper");
        assert_eq!(line.get("trace_id").is_some(), is_inside, "{line}");
        assert_eq!(line["http.route"] == "/orders/{id}", is_inside, "{line}");
    }
}

/// A caller's own method is his text: only known ones are told.
#[tokio::test]
async fn a_method_that_a_caller_made_up_is_not_told() {
    let parts = Parts::new();
    let (buffer, _default) = log(&parts, Logs::json());
    let app = Router::new().fallback(async || tracing::error!("lost")).layer(parts.layer());
    let request = Request::builder().method("FORGED").uri("/").body(Body::empty()).expect("valid");
    app.oneshot(request).await.expect("infallible");
    assert_eq!(buffer.line("lost")["http.request.method"], "_OTHER");
}
