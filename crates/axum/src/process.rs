//! What axum knows about a request; the life of its span is `throughline-tower`'s.

use std::any::type_name;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::Extensions;
use axum::routing::Route;
use throughline_tower::{Framework, HttpServerLayer};

/// The layer for an axum router; all it can be told is in [`HttpServerLayer`].
pub type ServerLayer = HttpServerLayer<Axum>;

/// axum: [`MatchedPath`] is the route, [`ConnectInfo`] the peer.
#[derive(Clone, Copy, Debug)]
pub enum Axum {}

impl Framework for Axum {
    #[inline]
    fn route(extensions: &Extensions) -> Option<&str> {
        extensions.get::<MatchedPath>().map(MatchedPath::as_str)
    }

    #[inline]
    fn peer(extensions: &Extensions) -> Option<SocketAddr> {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
    }

    // A route calls what is in it when it is polled; `router.rs` has a test that says so. By name,
    // since a service needn't live as long as the ids of types ask for.
    fn is_lazy<S>() -> bool {
        type_name::<S>() == type_name::<Route>()
    }
}
