use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use opentelemetry::trace::SpanKind;
use throughline_core::http::{method, route};
use throughline_core::{Boundary, BoundarySpan};
use tower_service::Service;

use super::describe::describe;
use super::settings::Settings;
use super::{Framework, RequestInfo, ResponseBody, ResponseFuture};
use crate::extract::RequestHeaders;

/// An HTTP service in its trace, from [`HttpServerLayer`](super::HttpServerLayer).
#[derive(Debug)]
pub struct HttpServerService<S, F> {
    inner: S,
    settings: Arc<Settings>,
    framework: PhantomData<F>,
}

impl<S: Clone, F> Clone for HttpServerService<S, F> {
    fn clone(&self) -> Self {
        let settings = Arc::clone(&self.settings);
        HttpServerService { inner: self.inner.clone(), settings, framework: PhantomData }
    }
}

impl<S, F> HttpServerService<S, F> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        HttpServerService { inner, settings, framework: PhantomData }
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
        let is_head = request.method() == Method::HEAD;
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
                let expect_parent = self.settings.expects_parent::<F, _>(&request);
                let describe = || describe::<F, _>(&request, &headers);
                config.receive_expecting(extraction, expect_parent, SpanKind::Server, describe)
            }
        };
        if let Some(handle) = span.handle() {
            request.extensions_mut().insert(handle);
        }
        let entered = span.entered();
        let future = self.inner.call(request);
        span.exit(entered);
        ResponseFuture { future: Some(future), span: Some(span), is_head }
    }
}

fn refine<F: Framework, B>(span: &Boundary, request: &Request<B>) {
    if let Some(path) = F::route(request.extensions()) {
        span.refine_route(|| {
            let route = route(method(request.method()), path);
            (route.name, route.route)
        });
    }
}
