use std::sync::Arc;
use std::task::{Context as Task, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use throughline_core::{Boundary, BoundarySpan};
use tower_service::Service;

use super::describe::describe;
use super::layer::Settings;
use super::measure::measure;
use crate::inject::OutgoingHeaders;
use crate::process::exchange::{Aside, Exchange};
use crate::process::{NoFramework, ResponseBody, ResponseFuture};

/// An HTTP client that carries its trace along, from [`ClientLayer`](super::ClientLayer).
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> ClientService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        ClientService { inner, settings }
    }
}

impl Settings {
    #[inline]
    fn inject<B>(&self, context: &Context, request: &mut Request<B>) {
        match &self.propagate_to {
            None => self.config.inject(context, &mut OutgoingHeaders(request.headers_mut())),
            Some(propagate_to) => {
                let propagate = propagate_to(request.uri());
                let mut headers = OutgoingHeaders(request.headers_mut());
                self.config.inject_as(context, &mut headers, propagate);
            }
        }
    }
}

impl<S> ClientService<S> {
    /// Sends a request of which nothing is told here.
    fn untold<B>(&mut self, request: Request<B>, exchange: Exchange) -> ResponseFuture<S::Future>
    where
        S: Service<Request<B>>,
    {
        let (future, span) = (Some(self.inner.call(request)), Some(BoundarySpan::apart()));
        ResponseFuture { future, span, exchange, aside: None }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    #[inline(never)]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Settings { config, propagate_to, target, ends_with_body, more } = &*self.settings;
        let (ends_with_body, is_head) = (*ends_with_body, request.method() == Method::HEAD);
        let mut exchange = Exchange::Sent { ends_with_body, is_head };
        if config.is_sent(request.headers()) {
            // An outer layer of the same client has the span. What it put in may be too much here.
            if propagate_to.is_some() {
                Context::map_current(|current| self.settings.inject(current, &mut request));
            }
            return self.untold(request, exchange);
        }
        // Behind a worker task the context is lost, and a request that is passed on still has it.
        let lost = (!Context::map_current(Context::has_active_span))
            .then(|| request.extensions().get::<Boundary>().cloned())
            .flatten();
        let attached = lost.map(|boundary| boundary.context().clone().attach());
        if let Some(more) = more
            && more.leaves_out::<NoFramework, _>(&request)
        {
            Context::map_current(|current| self.settings.inject(current, &mut request));
            drop(attached);
            return self.untold(request, exchange);
        }
        let more = more.as_ref();
        let mut span = config
            .send(SpanKind::Client, || describe(&request, target.as_ref(), more, &mut exchange));
        drop(attached);
        self.settings.inject(span.context(), &mut request);
        if config.is_measured() {
            measure(config, &mut request, target.as_ref(), more, &mut exchange, &mut span);
        }
        if span.is_carried() && span.measure().is_none() {
            return self.untold(request, exchange);
        }
        let aside = more.map(|more| Box::new(Aside::of(more)));
        let entered = span.entered();
        let future = self.inner.call(request);
        span.exit(entered);
        ResponseFuture { future: Some(future), span: Some(span), exchange, aside }
    }
}
