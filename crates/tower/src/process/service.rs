use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use throughline_core::http::{method, route};
use throughline_core::{Boundary, Config, InContext};
use tower_service::Service;

use super::describe::describe;
use super::future::Driver;
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

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let driver = match request.extensions().get::<Boundary>() {
            Some(first) => {
                refine::<F, _>(first, &request);
                let context = first.context().clone();
                self.join(context, request)
            }
            None => {
                let is_head = request.method() == Method::HEAD;
                let extraction = self.config.extract(&RequestHeaders(request.headers()));
                let describe = || describe::<F, _>(&request);
                let mut span = self.config.receive(extraction, SpanKind::Server, describe);
                if let Some(handle) = span.handle() {
                    request.extensions_mut().insert(handle);
                }
                let entered = span.entered();
                let future = self.inner.call(request);
                entered.exit();
                Driver::Own { future: span.process(future), is_head }
            }
        };
        ResponseFuture { driver }
    }
}

impl<S, F> HttpServerService<S, F> {
    /// Runs a request whose span an outer layer holds.
    fn join<B>(&mut self, context: Context, request: Request<B>) -> Driver<S::Future>
    where
        S: Service<Request<B>>,
    {
        let trace = context.span().span_context().trace_id();
        let is_current =
            Context::map_current(|current| current.span().span_context().trace_id() == trace);
        if is_current {
            // What is current may be a span between the layers: it stays the parent.
            return Driver::Joined { future: self.inner.call(request) };
        }
        // A worker task stands between the layers (tower's `Buffer`).
        let future = {
            let _attached = context.clone().attach();
            self.inner.call(request)
        };
        Driver::Rejoined { future: InContext::new(future, context) }
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
