use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use opentelemetry::trace::SpanKind;
use throughline_core::http::{method, route};
use throughline_core::{Boundary, BoundarySpan, Config};
use tower_service::Service;

use super::describe::describe;
use super::{Framework, ResponseBody, ResponseFuture};
use crate::extract::RequestHeaders;

/// An HTTP service in its trace, from [`HttpServerLayer`](super::HttpServerLayer).
#[derive(Debug)]
pub struct HttpServerService<S, F> {
    inner: S,
    config: Arc<Config>,
    framework: PhantomData<F>,
}

impl<S: Clone, F> Clone for HttpServerService<S, F> {
    fn clone(&self) -> Self {
        let config = Arc::clone(&self.config);
        HttpServerService { inner: self.inner.clone(), config, framework: PhantomData }
    }
}

impl<S, F> HttpServerService<S, F> {
    pub(super) fn new(inner: S, config: Arc<Config>) -> Self {
        HttpServerService { inner, config, framework: PhantomData }
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
                let extraction = self.config.extract(&headers);
                let describe = || describe::<F, _>(&request, &headers);
                self.config.receive(extraction, SpanKind::Server, describe)
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
