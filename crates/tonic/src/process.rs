//! What tonic knows of a call; the life of its span is `throughline-tower`'s.

use std::net::SocketAddr;

use http::{Extensions, HeaderName, Uri};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Tracer, TracerProvider};
use throughline_core::Propagate;
use throughline_tower::{ClientService, Framework, HttpServerLayer, RequestInfo};
use tonic::transport::Endpoint;
use tonic::transport::server::TcpConnectInfo;
use tower_layer::Layer;

/// The layer for a tonic server; all it can be told is in [`HttpServerLayer`].
pub type ServerLayer = HttpServerLayer<Tonic>;

/// A channel that carries its trace along, by a name that fits into a struct:
/// `OrdersClient<throughline_tonic::Channel>`.
pub type Channel = ClientService<tonic::transport::Channel>;

/// tonic: [`TcpConnectInfo`] is the peer, and a method is no route.
#[derive(Clone, Copy, Debug)]
pub enum Tonic {}

impl Framework for Tonic {
    #[inline]
    fn route(_: &Extensions) -> Option<&str> {
        None
    }

    #[inline]
    fn peer(extensions: &Extensions) -> Option<SocketAddr> {
        extensions.get::<TcpConnectInfo>()?.remote_addr()
    }
}

/// A layer that carries the trace out of a tonic channel: each call has a CLIENT span to the end of
/// its stream, and the context of that span in its metadata.
#[derive(Clone, Debug, Default)]
pub struct ClientLayer(throughline_tower::ClientLayer);

impl ClientLayer {
    /// A layer for a channel whose server isn't told. It uses OpenTelemetry's global provider and
    /// propagator, and may be built before they are set.
    #[must_use]
    pub fn new() -> Self {
        ClientLayer::default()
    }

    /// A layer for the channel to this endpoint: its address is told as `server.address`, which a
    /// call itself doesn't know.
    #[must_use]
    pub fn for_endpoint(endpoint: &Endpoint) -> Self {
        ClientLayer::new().target(endpoint.uri())
    }

    /// The address of the server, where a channel has no single endpoint: the name that is balanced
    /// over several, or that is looked up later.
    #[must_use]
    pub fn target(self, uri: &Uri) -> Self {
        ClientLayer(self.0.target(uri))
    }

    /// Decides what goes along with a call; all unless told otherwise. The URI has the path of the
    /// method and no host, as a channel adds that later.
    #[must_use]
    pub fn propagate_to(self, decide: impl Fn(&Uri) -> Propagate + Send + Sync + 'static) -> Self {
        ClientLayer(self.0.propagate_to(decide))
    }

    /// Records only the calls of which `wanted` is true; see
    /// [`ClientLayer::filter`](throughline_tower::ClientLayer::filter).
    #[must_use]
    pub fn filter(self, wanted: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        ClientLayer(self.0.filter(wanted))
    }

    /// Records this metadata of calls, as `rpc.request.header.<name>`; none unless told otherwise.
    /// What holds credentials is refused with a warning.
    #[must_use]
    pub fn capture_request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        ClientLayer(self.0.capture_request_headers(names))
    }

    /// The same for the metadata that an answer begins with, as `rpc.response.header.<name>`.
    #[must_use]
    pub fn capture_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        ClientLayer(self.0.capture_response_headers(names))
    }

    /// Names the methods that there are, for a proxy whose callers may make them up; see
    /// [`ClientLayer::methods`](throughline_tower::ClientLayer::methods).
    #[must_use]
    pub fn methods(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        ClientLayer(self.0.methods(names))
    }

    /// Asks the sampler even where the current span is not sampled; see
    /// [`Config::ask_sampler`](throughline_core::Config::ask_sampler).
    #[must_use]
    pub fn ask_sampler(self, ask: bool) -> Self {
        ClientLayer(self.0.ask_sampler(ask))
    }

    /// Takes spans from `provider` instead of the global one.
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        ClientLayer(self.0.with_tracer_provider(provider))
    }

    /// Measures with meters of `provider` instead of those of the global one; see
    /// [`Config::with_meter_provider`](throughline_core::Config::with_meter_provider).
    #[must_use]
    pub fn with_meter_provider(self, provider: &dyn MeterProvider) -> Self {
        ClientLayer(self.0.with_meter_provider(provider))
    }

    /// Speaks `propagator` instead of the global one.
    #[must_use]
    pub fn with_propagator(
        self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        ClientLayer(self.0.with_propagator(propagator))
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        self.0.layer(inner)
    }
}
