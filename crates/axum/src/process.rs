//! What axum knows about a request; the life of its span is `throughline-tower`'s.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::Extensions;
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
}
