//! The battery, over the layer for any tower service.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::SpanKind;
use throughline_testing::battery::{self, Failed, Handler, Headers, Inbound, Setup};
use throughline_tower::ServerLayer;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

struct Tower;

impl Inbound for Tower {
    type Boundary =
        BoxCloneSyncService<Request<Handler>, Response<BoxBody<Bytes, Infallible>>, Failed>;
    const KIND: SpanKind = SpanKind::Server;

    async fn boundary(&self, setup: Setup) -> Self::Boundary {
        let layer = |setup: &Setup| {
            ServerLayer::new()
                .with_tracer_provider(&setup.provider)
                .with_propagator(setup.propagator)
                .trust(setup.trust)
                .expect_parent(setup.expect_parent)
        };
        let handler = service_fn(|request: Request<Handler>| async move {
            request.into_body().run().await?;
            Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
        });
        if setup.layers == 1 {
            let service = layer(&setup).layer(handler);
            return BoxCloneSyncService::new(service.map_response(|it| it.map(BodyExt::boxed)));
        }
        let (outer, inner) = (layer(&setup), layer(&setup.inner()).layer(handler));
        let between = service_fn(move |request| {
            let (setup, inner) = (setup.clone(), inner.clone());
            async move { setup.between(inner.oneshot(request)).await }
        });
        let service = outer.layer(between);
        BoxCloneSyncService::new(service.map_response(|it| it.map(BodyExt::boxed)))
    }

    async fn deliver(&self, service: &Self::Boundary, headers: Headers, handler: Handler) {
        let mut request = Request::new(handler);
        *request.headers_mut() = headers.into();
        if let Ok(response) = service.clone().oneshot(request).await {
            drop(response.into_body().collect().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_conforms() {
    battery::inbound(Tower).await.assert();
}
