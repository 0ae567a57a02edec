//! The battery, over a client with the middleware.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::trace::SpanKind;
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};
use throughline_reqwest::ClientMiddleware;
use throughline_testing::battery::{self, Headers, Outbound, Peer, Setup};

/// How a peer that fails does it.
#[derive(Clone, Copy)]
enum Failing {
    /// It answers with a status.
    Status,
    /// There is no answer.
    Error,
}

struct Reqwest(Failing);

/// Stands where the network begins.
struct Network(Failing);

#[async_trait]
impl Middleware for Network {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        _: Next<'_>,
    ) -> Result<Response, Error> {
        let peer = extensions.get::<Peer>().cloned().expect("the driver puts one in");
        let status = match (peer.receive(request.headers().into()).await, self.0) {
            (Ok(()), _) => 200,
            (Err(_), Failing::Status) => 503,
            (Err(error), Failing::Error) => return Err(Error::middleware(error)),
        };
        let response = http::Response::builder().status(status).body("").expect("a response");
        Ok(response.into())
    }
}

impl Outbound for Reqwest {
    type Boundary = ClientWithMiddleware;
    const KIND: SpanKind = SpanKind::Client;

    async fn boundary(&self, setup: Setup) -> ClientWithMiddleware {
        let middleware = ClientMiddleware::new()
            .with_tracer_provider(&setup.provider)
            .with_propagator(setup.propagator);
        let client = ClientBuilder::new(Client::new());
        let client = (0..setup.layers).fold(client, |client, _| client.with(middleware.clone()));
        client.with(Network(self.0)).build()
    }

    async fn send(&self, client: &ClientWithMiddleware, headers: Headers, peer: Peer) {
        let request = client.get("http://orders.test/").headers(headers.into());
        drop(request.with_extension(peer).send().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_middleware_conforms() {
    battery::outbound(Reqwest(Failing::Status)).await.assert();
    battery::outbound(Reqwest(Failing::Error)).await.assert();
}
