use std::fmt::Debug;
use std::net::SocketAddr;

use http::Extensions;

/// What a web framework leaves in the extensions of a request.
///
/// A framework's crate implements it on a marker type and names its layer
/// `HttpServerLayer<TheMarker>`.
pub trait Framework: Debug + Send + Sync + 'static {
    /// The template of the route that matched: `/users/{id}`, never the path itself.
    fn route(extensions: &Extensions) -> Option<&str>;

    /// The other end of the connection.
    fn peer(extensions: &Extensions) -> Option<SocketAddr>;

    /// Whether the `call` of the service `S` does nothing but make a future: then no context need be
    /// current in it. `false` unless the framework knows better.
    #[must_use]
    fn is_lazy<S>() -> bool {
        false
    }
}

/// No framework: no route is known, and the peer is a [`SocketAddr`] in the extensions of the
/// request, where whoever accepts connections has put it.
#[derive(Clone, Copy, Debug)]
pub enum NoFramework {}

impl Framework for NoFramework {
    fn route(_: &Extensions) -> Option<&str> {
        None
    }

    fn peer(extensions: &Extensions) -> Option<SocketAddr> {
        extensions.get::<SocketAddr>().copied()
    }
}
