//! The layer that everything is compared with.

use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Does nothing.
#[derive(Clone, Debug)]
pub struct Noop;

impl<S> Layer<S> for Noop {
    type Service = NoopService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        NoopService(inner)
    }
}

/// What is called goes to the service within.
#[derive(Clone, Debug)]
pub struct NoopService<S>(S);

impl<S: Service<R>, R> Service<R> for NoopService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.0.call(request)
    }
}
