//! A server on a socket, a client of it, and the spans of both.

use std::time::Duration;

use throughline_testing::{Measurements, Recorder};
use throughline_tonic::{Channel, ClientLayer, ServerLayer};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tower::Layer;

use crate::echo::{Client, Echo};

pub(crate) struct Rig {
    pub(crate) recorder: Recorder,
    pub(crate) kept: Measurements,
    pub(crate) client: Client,
    pub(crate) echo: Echo,
    pub(crate) port: u16,
}

impl Rig {
    /// Of a server whose methods are listed: what it has answered before is no matter then.
    pub(crate) async fn new() -> Self {
        Rig::with(listed, |server| server).await
    }

    pub(crate) async fn with(
        layer: impl FnOnce(ServerLayer) -> ServerLayer,
        server: impl FnOnce(Server) -> Server,
    ) -> Self {
        Rig::of(Echo::default(), layer, server).await
    }

    pub(crate) async fn of(
        echo: Echo,
        layer: impl FnOnce(ServerLayer) -> ServerLayer,
        server: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (recorder, kept) = (Recorder::new(), Measurements::new());
        let (incoming, port) = listen().await;
        let layer = layer(ServerLayer::new().with_tracer_provider(&recorder.provider()))
            .with_meter_provider(&kept);
        let serve = server(Server::builder())
            .layer(layer)
            .add_service(echo.clone())
            .serve_with_incoming(incoming);
        #[expect(clippy::disallowed_methods, reason = "a server of no trace")]
        tokio::spawn(serve);
        let endpoint = endpoint(port);
        let channel = endpoint.connect_lazy();
        let layer = ClientLayer::for_endpoint(&endpoint)
            .with_tracer_provider(&recorder.provider())
            .with_meter_provider(&kept);
        let client = Client(tonic::client::Grpc::new(layer.layer(channel)));
        Rig { recorder, kept, client, echo, port }
    }

    /// A channel to another port of this machine.
    pub(crate) fn channel_to(&self, port: u16) -> Channel {
        channel(&self.recorder, &endpoint(port))
    }

    /// A channel to the same server that carries nothing: its spans go nowhere, and nothing is
    /// injected.
    pub(crate) fn untraced(&self) -> Channel {
        let layer = ClientLayer::new().propagate_to(|_| throughline_tonic::Propagate::Nothing);
        layer.layer(endpoint(self.port).connect_lazy())
    }

    /// The tree, once every span has ended.
    pub(crate) async fn assert_tree(&self, expected: &str) {
        assert_tree(&self.recorder, expected).await;
    }
}

/// With the methods that [`Echo`] has.
pub(crate) fn listed(layer: ServerLayer) -> ServerLayer {
    let methods = ["Unary", "ServerStream", "ClientStream", "BothStream"];
    layer.methods(methods.map(|method| format!("test.v1.Echo/{method}")))
}

/// A free port, and who comes to it.
pub(crate) async fn listen() -> (TcpListenerStream, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (TcpListenerStream::new(listener), port)
}

pub(crate) fn endpoint(port: u16) -> Endpoint {
    Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("a URI")
}

pub(crate) fn channel(recorder: &Recorder, endpoint: &Endpoint) -> Channel {
    let layer = ClientLayer::for_endpoint(endpoint).with_tracer_provider(&recorder.provider());
    layer.layer(endpoint.connect_lazy())
}

/// The tree, once every span has ended.
pub(crate) async fn assert_tree(recorder: &Recorder, expected: &str) {
    recorder.wait_all_ended(Duration::from_secs(10)).await.expect("an end");
    recorder.assert_tree(expected);
}
