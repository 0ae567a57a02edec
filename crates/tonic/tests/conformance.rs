//! The battery, over tonic's server and client machinery with a layer each.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]

use std::convert::Infallible;
use std::pin::Pin;

use http_body_util::BodyExt;
use opentelemetry::trace::SpanKind;
use throughline_testing::battery::{
    self, Failed, Handler, Headers, Inbound, Outbound, Peer, Setup,
};
use throughline_tonic::{ClientLayer, ServerLayer};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

const METHOD: &str = "/test.v1.Orders/Place";

type Codec = ProstCodec<(), ()>;

/// The method of a service: it does what the battery's handler does.
struct Place;

impl UnaryService<()> for Place {
    type Response = ();
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Status>> + Send>>;

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let handler = request.extensions().get::<Handler>().cloned();
        Box::pin(async move {
            let done = handler.expect("the driver puts one in").run().await;
            done.map(Response::new).map_err(|_| Status::internal("as told"))
        })
    }
}

struct Server;

impl Inbound for Server {
    type Boundary = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;
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
        let service = service_fn(|request: http::Request<Body>| async move {
            Ok(Grpc::new(Codec::default()).unary(Place, request).await)
        });
        if setup.layers == 1 {
            let service = layer(&setup).layer(service);
            return BoxCloneSyncService::new(service.map_response(|it| it.map(Body::new)));
        }
        let (outer, inner) = (layer(&setup), layer(&setup.inner()).layer(service));
        let between = service_fn(move |request| {
            let (setup, inner) = (setup.clone(), inner.clone());
            async move { setup.between(inner.oneshot(request)).await }
        });
        let service = outer.layer(between);
        BoxCloneSyncService::new(service.map_response(|it| it.map(Body::new)))
    }

    async fn deliver(&self, service: &Self::Boundary, headers: Headers, handler: Handler) {
        // An empty message of five bytes: not compressed, and without a length.
        let message = Body::new(http_body_util::Full::from(&[0_u8; 5][..]));
        let mut request = http::Request::post(METHOD).body(message).expect("a request");
        *request.headers_mut() = headers.into();
        let kind = http::HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        request.extensions_mut().insert(handler);
        let Ok(response) = service.clone().oneshot(request).await;
        drop(response.into_body().collect().await);
    }
}

struct Client;

impl Outbound for Client {
    type Boundary = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Failed>;
    const KIND: SpanKind = SpanKind::Client;

    async fn boundary(&self, setup: Setup) -> Self::Boundary {
        let layer = ClientLayer::new()
            .with_tracer_provider(&setup.provider)
            .with_propagator(setup.propagator);
        let network = service_fn(|request: http::Request<Body>| async move {
            let peer = request.extensions().get::<Peer>().cloned().expect("the driver puts one in");
            match peer.receive(request.headers().into()).await {
                Ok(()) => Ok(Status::ok("").into_http()),
                Err(_) => Ok(Status::unavailable("as told").into_http()),
            }
        });
        let service = BoxCloneSyncService::new(network);
        (0..setup.layers).fold(service, |service, _| {
            let service = layer.layer(service);
            BoxCloneSyncService::new(service.map_response(|it| it.map(Body::new)))
        })
    }

    async fn send(&self, service: &Self::Boundary, headers: Headers, peer: Peer) {
        let mut client = tonic::client::Grpc::new(service.clone());
        client.ready().await.expect("it always is");
        let mut request = Request::new(());
        *request.metadata_mut() = MetadataMap::from_headers(headers.into());
        request.extensions_mut().insert(peer);
        let path = http::uri::PathAndQuery::from_static(METHOD);
        drop(client.unary(request, path, Codec::default()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_layer_conforms() {
    battery::inbound(Server).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_layer_conforms() {
    battery::outbound(Client).await.assert();
}
