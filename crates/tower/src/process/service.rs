use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use opentelemetry::trace::SpanKind;
use throughline_core::http::{method, route};
use throughline_core::{Boundary, BoundarySpan};
use tower_service::Service;

use super::describe::{describe, is_call};
use super::exchange::{Aside, Exchange};
use super::measure::measure;
use super::settings::Settings;
use super::{Framework, RequestInfo, ResponseBody, ResponseFuture};
use crate::extract::RequestHeaders;

/// An HTTP service in its trace, from [`HttpServerLayer`](super::HttpServerLayer).
#[derive(Debug)]
pub struct HttpServerService<S, F> {
    inner: S,
    settings: Arc<Settings>,
    is_lazy: bool,
    framework: PhantomData<F>,
}

impl<S: Clone, F> Clone for HttpServerService<S, F> {
    fn clone(&self) -> Self {
        HttpServerService {
            inner: self.inner.clone(),
            settings: Arc::clone(&self.settings),
            is_lazy: self.is_lazy,
            framework: PhantomData,
        }
    }
}

impl<S, F: Framework> HttpServerService<S, F> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        let is_lazy = F::is_lazy::<S>();
        HttpServerService { inner, settings, is_lazy, framework: PhantomData }
    }
}

impl<S, F, ReqBody, ResBody> Service<Request<ReqBody>> for HttpServerService<S, F>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    F: Framework,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    // As a call of its own, it writes its future where the caller wants it; inlined, a future is
    // copied once more.
    #[inline(never)]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let mut exchange = Exchange::Served { is_head: request.method() == Method::HEAD };
        let (more, mut aside) = (self.settings.more.as_ref(), None);
        let outer = request.extensions().get::<Boundary>();
        let mut span = match outer.filter(|outer| !outer.has_ended()) {
            Some(first) => {
                refine::<F, _>(first, &request);
                BoundarySpan::join(first)
            }
            None => {
                let headers = RequestHeaders::new(request.headers());
                let config = &self.settings.config;
                let extraction = match &self.settings.trust_by {
                    None => config.extract(&headers),
                    Some(trust_by) => {
                        let trust = trust_by(&RequestInfo::new::<F, _>(&request));
                        config.extract_trusting(&headers, trust)
                    }
                };
                if more.is_some_and(|more| more.leaves_out::<F, _>(&request)) {
                    config.pass(extraction)
                } else {
                    let expect_parent = self.settings.expects_parent::<F, _>(&request);
                    let describe =
                        || describe::<F, _>(&request, &headers, more, &mut exchange, &mut aside);
                    let kind = SpanKind::Server;
                    let mut span =
                        config.receive_expecting(extraction, expect_parent, kind, describe);
                    if config.is_measured() {
                        let (aside, span) = (&mut aside, &mut span);
                        measure::<F, _>(config, &request, more, &mut exchange, aside, span);
                    }
                    span
                }
            }
        };
        if let Some(more) = more {
            // In the span, which is told of a panic there.
            let entered = span.entered();
            more.on_request(&span, &RequestInfo::new::<F, _>(&request));
            span.exit(entered);
            let aside: &mut Box<Aside> = aside.get_or_insert_default();
            aside.more = Some(Arc::clone(more));
        }
        if let Some(handle) = span.handle() {
            request.extensions_mut().insert(handle);
        }
        let future = if self.is_lazy {
            self.inner.call(request)
        } else {
            let entered = span.entered();
            let future = self.inner.call(request);
            span.exit(entered);
            future
        };
        ResponseFuture { future: Some(future), span: Some(span), exchange, aside }
    }
}

fn refine<F: Framework, B>(span: &Boundary, request: &Request<B>) {
    // The route of a call is its service's, which its method tells already.
    if is_call(request) {
        return;
    }
    if let Some(path) = F::route(request.extensions()) {
        span.refine_route(|| {
            let route = route(method(request.method()), path);
            (route.name, route.route)
        });
    }
}
