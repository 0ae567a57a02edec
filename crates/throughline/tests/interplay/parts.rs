//! A service without sockets: a router that is called, and a client that answers itself.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Extensions, HeaderMap, Request, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use throughline::axum::ServerLayer;
use throughline::reqwest::ClientMiddleware;
use throughline::telemetry::{SpanFilter, otel_layer};
use throughline_testing::Recorder;
use throughline_testing::lineage::Span;
use tower::ServiceExt;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const SENDER: &str = "b7ad6b7169203331";

/// The headers of what was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<Mutex<Vec<HeaderMap>>>);

#[async_trait]
impl Middleware for Sent {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0.lock().expect("not poisoned").push(request.headers().clone());
        Ok(reqwest::Response::from(axum::http::Response::new("")))
    }
}

/// The parts of one test.
pub(crate) struct Parts {
    pub(crate) recorder: Recorder,
    pub(crate) http: ClientWithMiddleware,
    sent: Sent,
}

impl Parts {
    pub(crate) fn new() -> Self {
        let (recorder, sent) = (Recorder::new(), Sent::default());
        let middleware = ClientMiddleware::new().with_tracer_provider(&recorder.provider());
        let http =
            ClientBuilder::new(reqwest::Client::new()).with(middleware).with(sent.clone()).build();
        Parts { recorder, http, sent }
    }

    pub(crate) fn layer(&self) -> ServerLayer {
        ServerLayer::new().with_tracer_provider(&self.recorder.provider())
    }

    /// The layer that `init` installs.
    pub(crate) fn otel_layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        otel_layer(self.recorder.provider().sdk(), SpanFilter::default())
    }

    /// The `traceparent` of the only request that was sent.
    #[track_caller]
    pub(crate) fn sent(&self) -> String {
        let sent = self.sent.0.lock().expect("not poisoned");
        let [headers] = sent.as_slice() else { panic!("not one request: {sent:?}") };
        headers["traceparent"].to_str().expect("text").to_owned()
    }

    #[track_caller]
    pub(crate) fn span(&self, name: &str) -> Span {
        let mut spans = self.recorder.spans();
        spans.retain(|span| span.name == name);
        assert_eq!(spans.len(), 1, "{name}: {spans:#?}");
        spans.remove(0)
    }

    /// Says that `name` sent the only request there was.
    #[track_caller]
    pub(crate) fn assert_sent_by(&self, name: &str) {
        let span = self.span(name);
        assert_eq!(self.sent(), format!("00-{TRACE}-{}-01", span.span_id));
    }
}

pub(crate) async fn call(http: &ClientWithMiddleware) {
    http.post("http://stock.internal/").send().await.expect("it answers itself");
}

/// `GET /orders/42`, in the trace of a sender with these flags.
pub(crate) async fn get(app: &Router, flags: &str) {
    let request = Request::get("/orders/42")
        .header("traceparent", format!("00-{TRACE}-{SENDER}-{flags}"))
        .body(Body::empty())
        .expect("a request");
    let response = app.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("no error");
}
