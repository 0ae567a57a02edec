//! The battery, over the layer for any tower service.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::SpanKind;
use throughline_testing::battery::{
    self, Failed, Handler, Headers, Inbound, Outbound, Peer, Setup,
};
use throughline_tower::{ClientLayer, ServerLayer};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

struct Tower;

impl Inbound for Tower {
    type Boundary =
        BoxCloneSyncService<Request<Handler>, Response<BoxBody<Bytes, Infallible>>, Failed>;
    const KIND: SpanKind = SpanKind::Server;

    async fn boundary(&self, setup: Setup) -> Self::Boundary {
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

/// How a peer that fails does it.
#[derive(Clone, Copy)]
enum Failing {
    /// It answers with a status.
    Status,
    /// There is no answer.
    Error,
}

struct Client(Failing);

impl Outbound for Client {
    type Boundary =
        BoxCloneSyncService<Request<Peer>, Response<BoxBody<Bytes, Infallible>>, Failed>;
    const KIND: SpanKind = SpanKind::Client;

    async fn boundary(&self, setup: Setup) -> Self::Boundary {
        let layer = ClientLayer::new()
            .with_tracer_provider(&setup.provider)
            .with_propagator(setup.propagator);
        let failing = self.0;
        let network = service_fn(move |request: Request<Peer>| async move {
            let (parts, peer) = request.into_parts();
            let status = match (peer.receive((&parts.headers).into()).await, failing) {
                (Ok(()), _) => 200,
                (Err(_), Failing::Status) => 503,
                (Err(error), Failing::Error) => return Err(error),
            };
            let mut response = Response::new(Full::new(Bytes::from_static(b"done")).boxed());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        });
        let service = BoxCloneSyncService::new(network);
        (0..setup.layers).fold(service, |service, _| {
            let service = layer.layer(service);
            BoxCloneSyncService::new(service.map_response(|it| it.map(BodyExt::boxed)))
        })
    }

    async fn send(&self, service: &Self::Boundary, headers: Headers, peer: Peer) {
        let mut request = Request::new(peer);
        *request.headers_mut() = headers.into();
        if let Ok(response) = service.clone().oneshot(request).await {
            drop(response.into_body().collect().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_conforms() {
    battery::outbound(Client(Failing::Status)).await.assert();
    battery::outbound(Client(Failing::Error)).await.assert();
}
