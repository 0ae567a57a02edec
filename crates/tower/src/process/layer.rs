use std::marker::PhantomData;
use std::sync::Arc;

use http::HeaderName;
use throughline_core::{Boundary, Config, Trust};
use tower_layer::Layer;

use super::settings::Settings;
use super::{Framework, HttpServerService, More, NoFramework, RequestInfo, ResponseInfo};

/// The layer for any tower service of HTTP.
pub type ServerLayer = HttpServerLayer<NoFramework>;

/// A layer that carries the trace through an HTTP server; `F` is its web framework.
///
/// Named [`ServerLayer`] where there is none.
#[derive(Debug)]
pub struct HttpServerLayer<F> {
    settings: Arc<Settings>,
    framework: PhantomData<F>,
}

impl<F> Clone for HttpServerLayer<F> {
    fn clone(&self) -> Self {
        HttpServerLayer { settings: Arc::clone(&self.settings), framework: PhantomData }
    }
}

impl<F: Framework> Default for HttpServerLayer<F> {
    fn default() -> Self {
        HttpServerLayer::new()
    }
}

impl<F: Framework> HttpServerLayer<F> {
    /// A layer for services inside: the trace of whoever calls goes on.
    ///
    /// It uses OpenTelemetry's global provider and the formats of its global propagator, and may be
    /// built before they are set. While no propagator is set it speaks W3C Trace Context and W3C
    /// Baggage. One that restricts what it speaks has to be [given](Self::with_propagator).
    #[must_use]
    pub fn new() -> Self {
        let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        HttpServerLayer { settings: Arc::new(Settings::new(config)), framework: PhantomData }
    }

    /// A layer for a public edge: a new trace for each request, linked to the caller's, with the
    /// caller's baggage dropped. The same as `.trust(Trust::Link)`.
    #[must_use]
    pub fn public_edge() -> Self {
        HttpServerLayer::new().trust(Trust::Link)
    }

    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let config = change(settings.config);
        HttpServerLayer {
            settings: Arc::new(Settings { config, ..settings }),
            framework: PhantomData,
        }
    }

    /// How far callers are trusted with the trace.
    ///
    /// It is the outermost layer of a request that decides: a layer within it finds the span
    /// started, and only names it. Put a stricter router beside a more trusting one, not inside.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        self.map(|config| config.trust(trust))
    }

    /// Lets these members of baggage in from callers whose trace is not continued: a campaign, say,
    /// or the name of an experiment; see [`Config::admit_baggage`].
    ///
    /// ```
    /// use throughline_tower::ServerLayer;
    ///
    /// let layer = ServerLayer::public_edge().admit_baggage(["campaign"]);
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn admit_baggage(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.map(|config| config.admit_baggage(keys))
    }

    /// The same as [`trust`](Self::trust), decided for each request: by its [peer](RequestInfo::peer), by a header that a
    /// proxy of one's own sets and takes away from everybody else, by the host.
    ///
    /// What it doesn't see is a proxy in between that passes headers of strangers on: trust a
    /// network only if nobody outside can send through it.
    ///
    /// ```
    /// use throughline_core::Trust;
    /// use throughline_tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new().trust_by(|request| match request.peer() {
    ///     Some(peer) if peer.ip().is_loopback() => Trust::Continue,
    ///     _ => Trust::Link,
    /// });
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn trust_by(
        self,
        decide: impl Fn(&RequestInfo<'_>) -> Trust + Send + Sync + 'static,
    ) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let settings = Settings { trust_by: Some(Arc::new(decide)), ..settings };
        HttpServerLayer { settings: Arc::new(settings), framework: PhantomData }
    }

    /// Says that every caller sends its context, so that a request without one is a break: its
    /// span is marked as one that lacks its parent. Leave it off where people call by hand. As with
    /// [`trust`](Self::trust), the outermost layer decides.
    #[must_use]
    pub fn expect_parent(self, expect: bool) -> Self {
        self.map(|config| config.expect_parent(expect))
    }

    /// Excuses requests from [`expect_parent`](Self::expect_parent): health checks, say, and what is
    /// called by hand.
    ///
    /// ```
    /// use throughline_tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new()
    ///     .expect_parent(true)
    ///     .expect_no_parent_of(|request| request.uri().path() == "/health");
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn expect_no_parent_of(
        self,
        excused: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let settings = Settings { excused: Some(Arc::new(excused)), ..settings };
        HttpServerLayer { settings: Arc::new(settings), framework: PhantomData }
    }

    fn tell(self, change: impl FnOnce(&mut More)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        settings.tell(change);
        HttpServerLayer { settings: Arc::new(settings), framework: PhantomData }
    }

    /// Records only the requests of which `wanted` is true. The others keep their context: what is
    /// done for them goes on under the caller's span, and where there is none it is in a trace that
    /// isn't sampled, so that a health check that asks a database begins no traces there.
    ///
    /// ```
    /// use throughline_tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new().filter(|request| request.uri().path() != "/health");
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn filter(self, wanted: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.tell(|more| more.filter = Some(Arc::new(wanted)))
    }

    /// Records these headers of requests, as `http.request.header.<name>`; none unless told
    /// otherwise. Those that hold credentials (`authorization`, `cookie`, whatever is named after a
    /// token or a key) are refused with a warning.
    #[must_use]
    pub fn capture_request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.tell(|more| more.request_headers.allow(names))
    }

    /// The same for headers of responses, as `http.response.header.<name>`.
    #[must_use]
    pub fn capture_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.tell(|more| more.response_headers.allow(names))
    }

    /// Rewrites the query of a request, `url.query`, before it is told: it is called with the query as
    /// it would be, secrets of the known keys redacted. `None` leaves it so, and an empty text leaves
    /// it out. Of gRPC there is none.
    ///
    /// ```
    /// use throughline_tower::ServerLayer;
    ///
    /// // Nobody's search terms.
    /// let layer = ServerLayer::new().rewrite_query(|query| {
    ///     query.starts_with("q=").then(|| "q=REDACTED".to_owned())
    /// });
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn rewrite_query(
        self,
        rewrite: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tell(|more| more.rewrite = Some(Arc::new(rewrite)))
    }

    /// Tells the address of the caller, `client.address`, by what this many proxies of one's own
    /// have written into `Forwarded` or `X-Forwarded-For`, and by neither where they differ; by the
    /// connection unless told otherwise.
    ///
    /// Give the number that every request comes through. With a larger one callers tell their
    /// address themselves.
    #[must_use]
    pub fn trusted_proxies(self, proxies: usize) -> Self {
        self.tell(|more| more.trusted_proxies = proxies)
    }

    /// Answers with the id of the trace in a header of this name, so that a caller can tell it to
    /// those who look it up; where the request isn't sampled, too.
    ///
    /// ```
    /// use http::HeaderName;
    /// use throughline_tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new().response_header(HeaderName::from_static("x-trace-id"));
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn response_header(self, name: HeaderName) -> Self {
        self.tell(|more| more.trace_id_header = Some(name))
    }

    /// Calls `tell` with the span of each request that is recorded, before its handler.
    #[must_use]
    pub fn on_request(
        self,
        tell: impl Fn(&Boundary, &RequestInfo<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.tell(|more| more.on_request = Some(Arc::new(tell)))
    }

    /// Calls `tell` with the span of each request that is recorded, once the head of its response is
    /// there.
    #[must_use]
    pub fn on_response(
        self,
        tell: impl Fn(&Boundary, &ResponseInfo<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.tell(|more| more.on_response = Some(Arc::new(tell)))
    }

    /// Names the methods of gRPC that there are, `orders.v1.Orders/Place`: calls of others have the
    /// method `_OTHER`, whatever callers make up. Without it a method is known once this process has
    /// answered it; until then it is `_OTHER` as well, and its span is named `grpc`.
    #[must_use]
    pub fn methods(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.tell(|more| more.methods.get_or_insert_default().extend(names))
    }

    /// Counts the requests that are being answered, `http.server.active_requests`, too. How long they
    /// take is measured wherever there is a provider of meters.
    #[must_use]
    pub fn measure_active_requests(self, measure: bool) -> Self {
        self.map(|config| config.measure_active(measure))
    }

    /// Measures bodies, `http.server.request.body.size` and `http.server.response.body.size`, too: a
    /// request's by its `content-length`, a response's by what was sent.
    #[must_use]
    pub fn measure_body_sizes(self, measure: bool) -> Self {
        self.map(|config| config.measure_body_sizes(measure))
    }

    throughline_core::config_setters!();
}

impl<S, F: Framework> Layer<S> for HttpServerLayer<F> {
    type Service = HttpServerService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpServerService::new(inner, Arc::clone(&self.settings))
    }
}
