//! What a layer was told.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, Uri};
use throughline_core::{Config, Trust};

use super::{Framework, More};

/// A request, as far as it is known before its span is started: what a function looks at that
/// decides whom to trust, or of whom a context is expected.
///
/// All of it is what the caller says, but for the [`peer`](Self::peer).
#[derive(Clone, Copy)]
pub struct RequestInfo<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    peer: fn(&Extensions) -> Option<SocketAddr>,
    route: fn(&Extensions) -> Option<&str>,
}

impl<'a> RequestInfo<'a> {
    pub(super) fn new<F: Framework, B>(request: &'a Request<B>) -> Self {
        RequestInfo {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            peer: F::peer,
            route: F::route,
        }
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// What is asked for.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What layers further out have left with it.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The other end of the connection, where it is told: a proxy, maybe. In axum that takes
    /// `into_make_service_with_connect_info::<SocketAddr>()`, tonic does it by itself, and without a
    /// framework it is a [`SocketAddr`] that you put into the extensions of the request.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        (self.peer)(self.extensions)
    }

    /// The route that matched, where the web framework tells it.
    #[must_use]
    pub fn route(&self) -> Option<&'a str> {
        (self.route)(self.extensions)
    }
}

impl fmt::Debug for RequestInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither path nor headers: they may hold what is nobody's business.
        f.debug_struct("RequestInfo").field("method", &self.method).finish_non_exhaustive()
    }
}

pub(super) type Decides<T> = Arc<dyn Fn(&RequestInfo<'_>) -> T + Send + Sync>;

/// All that a layer was told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(super) config: Config,
    pub(super) trust_by: Option<Decides<Trust>>,
    pub(super) excused: Option<Decides<bool>>,
    pub(super) more: Option<Arc<More>>,
}

impl Settings {
    pub(super) fn new(config: Config) -> Self {
        Settings { config, trust_by: None, excused: None, more: None }
    }

    /// Changes what only some layers are told.
    pub(super) fn tell(&mut self, change: impl FnOnce(&mut More)) {
        let mut more = self.more.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        change(&mut more);
        self.more = Some(Arc::new(more));
    }

    /// Whether a request has to bring its context.
    #[inline]
    pub(super) fn expects_parent<F: Framework, B>(&self, request: &Request<B>) -> bool {
        self.config.expects_parent() && !self.excuses::<F, B>(request)
    }

    fn excuses<F: Framework, B>(&self, request: &Request<B>) -> bool {
        // Orchestrators probe it, and have no trace.
        request.uri().path().starts_with("/grpc.health.v1.Health/")
            || self
                .excused
                .as_ref()
                .is_some_and(|excused| excused(&RequestInfo::new::<F, B>(request)))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("config", &self.config).finish_non_exhaustive()
    }
}
