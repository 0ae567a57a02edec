use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Extensions, HeaderName};
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next};
use throughline_core::http::{
    Captured, Host, Rewrite, UrlTemplate, describe_sent, host, protocol_version,
};
use throughline_core::{BoundarySpan, Config, Description, End, Propagate, semconv};

use super::measure::measure;
use super::{body, end};
use crate::inject::RequestHeaders;
use crate::redirect;

/// What is decided by an address.
pub(crate) type Decides = Arc<dyn Fn(&Url) -> Propagate + Send + Sync>;

type Wanted = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// What only some are told.
#[derive(Clone, Default)]
struct More {
    filter: Option<Wanted>,
    rewrite: Option<Arc<Rewrite>>,
    request_headers: Captured,
    response_headers: Captured,
}

/// A middleware that carries the trace out of a [`reqwest`] client.
#[derive(Clone)]
pub struct ClientMiddleware {
    config: Arc<Config>,
    propagate_to: Option<Decides>,
    ends_with_body: bool,
    more: Option<Arc<More>>,
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
        let config = Arc::new(config);
        ClientMiddleware { config, propagate_to: None, ends_with_body: false, more: None }
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

    fn tell(self, change: impl FnOnce(&mut More)) -> Self {
        let mut more = self.more.map(Arc::unwrap_or_clone).unwrap_or_default();
        change(&mut more);
        ClientMiddleware { more: Some(Arc::new(more)), ..self }
    }

    /// Records only the requests of which `wanted` is true. The others carry the context that is
    /// current: what is done for them stands under the caller's span.
    #[must_use]
    pub fn filter(self, wanted: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
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

    /// Rewrites the URL of a request, `url.full`, before it is told: it is called with the URL as it
    /// would be, secrets redacted. `None` leaves it so, and an empty text leaves it out.
    ///
    /// ```
    /// use throughline_reqwest::ClientMiddleware;
    ///
    /// // Whose mailbox it is stays here.
    /// let middleware = ClientMiddleware::new().rewrite_url(|url| {
    ///     let (before, _) = url.split_once("/mailboxes/")?;
    ///     Some(format!("{before}/mailboxes/REDACTED"))
    /// });
    /// # drop(middleware);
    /// ```
    #[must_use]
    pub fn rewrite_url(
        self,
        rewrite: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tell(|more| more.rewrite = Some(Arc::new(rewrite)))
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
        if self.config.is_sent(request.headers()) {
            // An outer middleware has the span. What it put in may be too much here.
            if self.propagate_to.is_some() {
                Context::map_current(|current| self.inject(current, &mut request));
            }
            return next.run(request, extensions).await;
        }
        let more = self.more.as_deref();
        let wanted = more.and_then(|more| more.filter.as_ref());
        if wanted.is_some_and(|wanted| !wanted(&request)) {
            Context::map_current(|current| self.inject(current, &mut request));
            return next.run(request, extensions).await;
        }
        let mut span = self.config.send(SpanKind::Client, || describe(&request, extensions, more));
        self.inject(span.context(), &mut request);
        if self.config.is_measured() {
            measure(&self.config, &request, extensions, &mut span);
        }
        if span.is_carried() && span.measure().is_none() {
            return next.run(request, extensions).await;
        }
        // In a block: the call that makes the future is in the context as well.
        let done = span.process(async { next.run(request, &mut *extensions).await }).await;
        if let ((Ok(response), span), Some(more)) = (&done, more)
            && span.is_recording()
        {
            let prefix = semconv::HTTP_RESPONSE_HEADER;
            more.response_headers.tell(prefix, response.headers(), span);
        }
        ended(done, extensions, self.ends_with_body)
    }
}

impl ClientMiddleware {
    #[inline]
    fn inject(&self, context: &Context, request: &mut Request) {
        match &self.propagate_to {
            None => self.config.inject(context, &mut RequestHeaders(request.headers_mut())),
            Some(propagate_to) => {
                let propagate = propagate_to(request.url());
                let mut headers = RequestHeaders(request.headers_mut());
                self.config.inject_as(context, &mut headers, propagate);
            }
        }
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

fn describe(request: &Request, extensions: &Extensions, more: Option<&More>) -> Description {
    let (url, template) = (request.url(), extensions.get::<UrlTemplate>());
    let rewrite = more.and_then(|more| more.rewrite.as_deref());
    let mut span = describe_sent(request.method(), url.as_str(), template, rewrite, CAPACITY);
    if let Some(host) = server(url) {
        span.set_server(host);
    }
    if let Some(Attempts(before)) = extensions.get() {
        span.set(semconv::HTTP_REQUEST_RESEND_COUNT, i64::from(*before));
    }
    if let Some(more) = more {
        more.request_headers.describe(semconv::HTTP_REQUEST_HEADER, request.headers(), &mut span);
    }
    span
}

pub(super) fn server(url: &Url) -> Option<Host> {
    let found = host(url.host_str()?.as_bytes())?;
    Some(Host { port: url.port_or_known_default(), ..found })
}
