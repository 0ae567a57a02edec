use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next};
use throughline_core::http::{Host, UrlTemplate, describe_sent, host, protocol_version};
use throughline_core::{BoundarySpan, Config, Description, End, Propagate, semconv};

use super::measure::measure;
use super::{body, end};
use crate::inject::RequestHeaders;
use crate::redirect;

/// What is decided by an address.
pub(crate) type Decides = Arc<dyn Fn(&Url) -> Propagate + Send + Sync>;

/// A middleware that carries the trace out of a [`reqwest`] client.
#[derive(Clone)]
pub struct ClientMiddleware {
    config: Arc<Config>,
    propagate_to: Option<Decides>,
    ends_with_body: bool,
}

impl fmt::Debug for ClientMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMiddleware").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Default for ClientMiddleware {
    fn default() -> Self {
        ClientMiddleware::new()
    }
}

impl ClientMiddleware {
    /// A middleware that uses OpenTelemetry's global provider and the formats of its global
    /// propagator, and may be built before they are set. While no propagator is set it speaks W3C
    /// Trace Context and W3C Baggage. One that restricts what it speaks has to be
    /// [given](Self::with_propagator).
    #[must_use]
    pub fn new() -> Self {
        let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        ClientMiddleware { config: Arc::new(config), propagate_to: None, ends_with_body: false }
    }

    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        let config = Arc::new(change(Arc::unwrap_or_clone(self.config)));
        ClientMiddleware { config, ..self }
    }

    /// Decides by the address of each request what goes along with it; all unless told otherwise.
    /// Baggage holds what services inside tell each other of users and tenants: it is not for third
    /// parties, and neither are, maybe, the ids of traces.
    ///
    /// A redirect may lead elsewhere: give the client the [`redirect_policy`](Self::redirect_policy)
    /// of this middleware.
    ///
    /// ```
    /// use throughline_reqwest::{ClientMiddleware, Propagate};
    ///
    /// # fn build() -> reqwest::Result<()> {
    /// let middleware = ClientMiddleware::new().propagate_to(|url| match url.host_str() {
    ///     Some(host) if host.ends_with(".internal") => Propagate::All,
    ///     _ => Propagate::TraceOnly,
    /// });
    /// let client = reqwest::Client::builder().redirect(middleware.redirect_policy()).build()?;
    /// let http = reqwest_middleware::ClientBuilder::new(client).with(middleware).build();
    /// # drop(http);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn propagate_to(self, decide: impl Fn(&Url) -> Propagate + Send + Sync + 'static) -> Self {
        ClientMiddleware { propagate_to: Some(Arc::new(decide)), ..self }
    }

    /// For the client: follows redirects as `reqwest` does, ten at the most, but stops at one that
    /// leads to where less may go along than [`propagate_to`](Self::propagate_to) allowed for the
    /// request: that redirect is the answer. To go on, send a request to where it leads, with what
    /// it needs and no more.
    #[must_use]
    pub fn redirect_policy(&self) -> Policy {
        redirect::policy(self.propagate_to.clone())
    }

    /// Ends the span of a request with the body of its response: once it was read, or has failed,
    /// or was dropped, which is `cancelled` unless all of it was there. With the head of the
    /// response unless told otherwise.
    ///
    /// Errors of the body then tell of themselves by their causes: what was
    /// [`is_decode`](reqwest::Error::is_decode) is the cause of one that
    /// [`is_body`](reqwest::Error::is_body).
    #[must_use]
    pub fn end_with_body(self, ends_with_body: bool) -> Self {
        ClientMiddleware { ends_with_body, ..self }
    }

    /// Counts the requests that are waited for, `http.client.active_requests`, too. How long they
    /// take is measured wherever there is a provider of meters.
    #[must_use]
    pub fn measure_active_requests(self, measure: bool) -> Self {
        self.map(|config| config.measure_active(measure))
    }

    /// Measures bodies, `http.client.request.body.size` and `http.client.response.body.size`, too:
    /// those whose length is known before they are sent, or read. With
    /// [`end_with_body`](Self::end_with_body) what comes is counted.
    #[must_use]
    pub fn measure_body_sizes(self, measure: bool) -> Self {
        self.map(|config| config.measure_body_sizes(measure))
    }

    throughline_core::config_setters!();
}

#[async_trait]
impl Middleware for ClientMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let propagate = self.propagate_to.as_ref().map(|decide| decide(request.url()));
        if self.config.is_sent(request.headers()) {
            // An outer middleware has the span. What it put in may be too much here.
            if let Some(propagate) = propagate {
                let mut headers = RequestHeaders(request.headers_mut());
                Context::map_current(|current| {
                    self.config.inject_as(current, &mut headers, propagate);
                });
            }
            return next.run(request, extensions).await;
        }
        let mut span = self.config.send(SpanKind::Client, || describe(&request, extensions));
        let mut headers = RequestHeaders(request.headers_mut());
        match propagate {
            None => self.config.inject(span.context(), &mut headers),
            Some(propagate) => self.config.inject_as(span.context(), &mut headers, propagate),
        }
        if self.config.is_measured() {
            measure(&self.config, &request, extensions, &mut span);
        }
        if span.is_carried() && span.measure().is_none() {
            return next.run(request, extensions).await;
        }
        // In a block: the call that makes the future is in the context as well.
        let done = span.process(async { next.run(request, &mut *extensions).await }).await;
        ended(done, extensions, self.ends_with_body)
    }
}

/// How often a request was sent, in the extensions that its attempts share.
#[derive(Clone, Copy)]
struct Attempts(u32);

/// Ends the span of a request by how it went.
fn ended(
    (result, span): (Result<Response, Error>, BoundarySpan),
    extensions: &mut Extensions,
    ends_with_body: bool,
) -> Result<Response, Error> {
    let end = match &result {
        Ok(response) => {
            let status = response.status();
            span.tell(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
            span.tell(semconv::NETWORK_PROTOCOL_VERSION, protocol_version(response.version()));
            end::of_status(status)
        }
        Err(error) => end::of_failed(error),
    };
    if end != End::Completed {
        // A middleware further out may try again. Only then: it costs an allocation.
        let Attempts(before) = extensions.get().copied().unwrap_or(Attempts(0));
        extensions.insert(Attempts(before + 1));
    }
    match result {
        Ok(response) if ends_with_body => Ok(body::ends_with(response, span)),
        result => {
            if let (Ok(response), Some(measure)) = (&result, span.measure()) {
                measure.response_size(response.content_length());
            }
            span.end(end);
            result
        }
    }
}

/// Room for the attributes below and the three at the end.
const CAPACITY: usize = 9;

fn describe(request: &Request, extensions: &Extensions) -> Description {
    let url = request.url();
    let mut span =
        describe_sent(request.method(), url.as_str(), extensions.get::<UrlTemplate>(), CAPACITY);
    if let Some(host) = server(url) {
        span.set_server(host);
    }
    if let Some(Attempts(before)) = extensions.get() {
        span.set(semconv::HTTP_REQUEST_RESEND_COUNT, i64::from(*before));
    }
    span
}

pub(super) fn server(url: &Url) -> Option<Host> {
    let found = host(url.host_str()?.as_bytes())?;
    Some(Host { port: url.port_or_known_default(), ..found })
}
