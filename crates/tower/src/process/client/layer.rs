use std::fmt;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderName, Uri};
use throughline_core::http::Host;
use throughline_core::{Config, Propagate};
use tower_layer::Layer;

use super::ClientService;
use super::describe::server;
use crate::process::{More, RequestInfo};

/// A layer that carries the trace out of any tower client of HTTP: hyper-util's, tonic's channel, a
/// proxy's.
///
/// Each request has a CLIENT span, and the context of that span in its headers. A call of gRPC is
/// told from other requests by its `content-type`, and ends with the status in its trailers.
#[derive(Clone, Debug)]
pub struct ClientLayer {
    settings: Arc<Settings>,
}

/// What is decided by an address.
type Decides = Arc<dyn Fn(&Uri) -> Propagate + Send + Sync>;

/// Where requests go that don't say it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: Host,
    /// `https://orders.internal:8443`
    pub(super) origin: String,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) propagate_to: Option<Decides>,
    pub(super) target: Option<Target>,
    pub(super) ends_with_body: bool,
    pub(super) more: Option<Arc<More>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("target", &self.target)
            .field("ends_with_body", &self.ends_with_body)
            .finish_non_exhaustive()
    }
}

impl Default for ClientLayer {
    fn default() -> Self {
        ClientLayer::new()
    }
}

impl ClientLayer {
    /// A layer that uses OpenTelemetry's global provider and propagator, and may be built before
    /// they are set. While no propagator is set it speaks W3C Trace Context and W3C Baggage.
    #[must_use]
    pub fn new() -> Self {
        let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let settings = Settings {
            config,
            propagate_to: None,
            target: None,
            ends_with_body: false,
            more: None,
        };
        ClientLayer { settings: Arc::new(settings) }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        change(&mut settings);
        ClientLayer { settings: Arc::new(settings) }
    }

    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let config = change(settings.config);
        ClientLayer { settings: Arc::new(Settings { config, ..settings }) }
    }

    /// Where requests go whose URI doesn't tell: a channel adds that later. It is told as
    /// `server.address` and `server.port`.
    #[must_use]
    pub fn target(self, uri: &Uri) -> Self {
        let target = server(uri).map(|host| {
            let scheme = uri.scheme_str().unwrap_or("http");
            let authority = uri.authority().map_or("", Authority::as_str);
            Target { host, origin: format!("{scheme}://{authority}") }
        });
        self.change(|settings| settings.target = target)
    }

    fn tell(self, change: impl FnOnce(&mut More)) -> Self {
        self.change(|settings| {
            let mut more = settings.more.take().map(Arc::unwrap_or_clone).unwrap_or_default();
            change(&mut more);
            settings.more = Some(Arc::new(more));
        })
    }

    /// Records only the requests of which `wanted` is true. The others carry the context that is
    /// current: what is done for them stands under the caller's span.
    ///
    /// ```
    /// use throughline_tower::ClientLayer;
    ///
    /// let layer = ClientLayer::new().filter(|request| request.uri().path() != "/health");
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn filter(self, wanted: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.tell(|more| more.filter = Some(Arc::new(wanted)))
    }

    /// Records these headers of requests, as `http.request.header.<name>`, of calls as
    /// `rpc.request.header.<name>`; none unless told otherwise. Those that hold credentials are
    /// refused with a warning.
    #[must_use]
    pub fn capture_request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.tell(|more| more.request_headers.allow(names))
    }

    /// The same for headers of responses.
    #[must_use]
    pub fn capture_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.tell(|more| more.response_headers.allow(names))
    }

    /// Rewrites the URL of a request, `url.full`, before it is told: it is called with the URL as it
    /// would be, secrets redacted. `None` leaves it so, and an empty text leaves it out. It is not
    /// asked for calls of gRPC, which tell no URL.
    #[must_use]
    pub fn rewrite_url(
        self,
        rewrite: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tell(|more| more.rewrite = Some(Arc::new(rewrite)))
    }

    /// Names the methods of gRPC that there are, `orders.v1.Orders/Place`: others have the method
    /// `_OTHER`. For a proxy, whose callers may make up what they call; what a client calls is
    /// otherwise written in its program, and told.
    #[must_use]
    pub fn methods(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.tell(|more| more.methods.get_or_insert_default().extend(names))
    }

    /// Ends the span of a request with the body of its response; with its head unless told
    /// otherwise. A call of gRPC always ends with its stream, where its status is.
    #[must_use]
    pub fn end_with_body(self, ends_with_body: bool) -> Self {
        self.change(|settings| settings.ends_with_body = ends_with_body)
    }

    /// Decides by the address of each request what goes along with it; all unless told otherwise.
    /// Baggage is not for third parties, and neither are, maybe, the ids of traces.
    ///
    /// ```
    /// use throughline_core::Propagate;
    /// use throughline_tower::ClientLayer;
    ///
    /// let layer = ClientLayer::new().propagate_to(|uri| match uri.host() {
    ///     Some(host) if host.ends_with(".internal") => Propagate::All,
    ///     _ => Propagate::TraceOnly,
    /// });
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn propagate_to(self, decide: impl Fn(&Uri) -> Propagate + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.propagate_to = Some(Arc::new(decide)))
    }

    /// Counts the requests that are waited for, `http.client.active_requests`, too. How long they take
    /// is measured wherever there is a provider of meters.
    #[must_use]
    pub fn measure_active_requests(self, measure: bool) -> Self {
        self.map(|config| config.measure_active(measure))
    }

    /// Measures bodies, `http.client.request.body.size` and `http.client.response.body.size`, too: a
    /// request's by its `content-length`, a response's by its own, or by what came where the span
    /// [ends with the body](Self::end_with_body).
    #[must_use]
    pub fn measure_body_sizes(self, measure: bool) -> Self {
        self.map(|config| config.measure_body_sizes(measure))
    }

    throughline_core::config_setters!();
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService::new(inner, Arc::clone(&self.settings))
    }
}
