//! The battery, over a router with the layer.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use axum::{Extension, Router};
use opentelemetry::trace::SpanKind;
use throughline_axum::ServerLayer;
use throughline_testing::battery::{self, Handler, Headers, Inbound, Setup};
use tower::ServiceExt;

struct Axum;

async fn handle(Extension(handler): Extension<Handler>) -> Result<&'static str, StatusCode> {
    match handler.run().await {
        Ok(()) => Ok("done"),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

impl Inbound for Axum {
    type Boundary = Router;
    const KIND: SpanKind = SpanKind::Server;

    async fn boundary(&self, setup: Setup) -> Router {
        let layer = |setup: &Setup| {
            let layer = ServerLayer::new()
                .with_tracer_provider(&setup.provider)
                .trust(setup.trust)
                .expect_parent(setup.expect_parent);
            match &setup.foreign {
                Some(foreign) => layer.with_propagator(foreign.clone()),
                None => layer.with_propagator(setup.propagator),
            }
        };
        let router = Router::new().route("/orders/{id}", get(handle));
        if setup.layers == 1 {
            return router.layer(layer(&setup));
        }
        let (outer, inner) = (layer(&setup), layer(&setup.inner()));
        let between = from_fn(move |request: Request<Body>, next: Next| {
            let setup = setup.clone();
            async move { setup.between(next.run(request)).await }
        });
        router.layer(inner).layer(between).layer(outer)
    }

    async fn deliver(&self, router: &Router, headers: Headers, handler: Handler) {
        let mut request = Request::get("/orders/42").body(Body::empty()).expect("a request");
        *request.headers_mut() = headers.into();
        request.extensions_mut().insert(handler);
        let response = router.clone().oneshot(request).await.expect("a router never fails");
        drop(to_bytes(response.into_body(), usize::MAX).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_conforms() {
    battery::inbound(Axum).await.assert();
}
