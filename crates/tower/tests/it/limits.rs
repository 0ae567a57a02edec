//! Layers that let a request wait no longer, or not at all: timeouts and load shedding.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use throughline_testing::Recorder;
use throughline_tower::{Failure, ServerLayer};
use tower::load_shed::LoadShedLayer;
use tower::load_shed::error::Overloaded;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder};

use crate::spans::request;

type Answer = Response<Full<Bytes>>;

fn layer(recorder: &Recorder) -> ServerLayer {
    ServerLayer::new().with_tracer_provider(&recorder.provider())
}

/// Calls it at once, as load shedding lets one do, and reads the answer to its end.
async fn ask<S, B>(mut service: S) -> Result<StatusCode, S::Error>
where
    S: Service<Request<()>, Response = Response<B>>,
    B: http_body::Body,
{
    std::future::poll_fn(|task| service.poll_ready(task)).await?;
    let (head, body) = service.call(request("GET")).await?.into_parts();
    drop(body.collect().await);
    Ok(head.status)
}

/// A service that is busy, or free.
#[derive(Clone, Copy)]
struct Desk {
    is_busy: bool,
}

impl Service<Request<()>> for Desk {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_busy { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(!self.is_busy, "called while it wasn't ready");
        ready(Ok(Response::default()))
    }
}

/// What an error of a layer within is answered with: axum's `HandleErrorLayer` does the same.
fn told(result: Result<Answer, BoxError>) -> Result<Answer, BoxError> {
    result.or_else(|error| {
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        if let Some(error) = error.downcast_ref::<Overloaded>() {
            answer.extensions_mut().insert(Failure::new(error));
        }
        if let Some(error) = error.downcast_ref::<Elapsed>() {
            answer.extensions_mut().insert(Failure::new(error));
        }
        Ok(answer)
    })
}

#[tokio::test]
async fn what_is_shed_within_the_layer_is_an_error_of_the_service() {
    for (is_busy, expected) in [
        (false, "SERVER GET {http.response.status_code=200}"),
        (true, "SERVER GET {error.type=_OTHER} !error"),
    ] {
        let recorder = Recorder::new();
        let service = ServiceBuilder::new()
            .layer(layer(&recorder))
            .layer(LoadShedLayer::new())
            .service(Desk { is_busy });
        let asked = ask(service).await;
        assert_eq!(asked.is_err_and(|error| error.is::<Overloaded>()), is_busy);
        recorder.assert_all_ended();
        recorder.assert_tree(expected);
    }
}

/// Errors in a box have lost their type; whoever answers knows it.
#[tokio::test]
async fn what_is_shed_and_answered_tells_why() {
    let recorder = Recorder::new();
    let service = ServiceBuilder::new()
        .layer(layer(&recorder))
        .map_result(told)
        .layer(LoadShedLayer::new())
        .service(Desk { is_busy: true });
    assert_eq!(ask(service).await.expect("an answer"), StatusCode::SERVICE_UNAVAILABLE);
    recorder.assert_all_ended();
    recorder.assert_tree(
        "SERVER GET {error.type=tower::load_shed::error::Overloaded, http.response.status_code=503} \
         !error(service overloaded)",
    );
}

/// It never came this far.
#[tokio::test]
async fn what_is_shed_outside_of_the_layer_has_no_span() {
    for is_busy in [false, true] {
        let recorder = Recorder::new();
        let service = ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(layer(&recorder))
            .service(Desk { is_busy });
        let asked = ask(service).await;
        assert_eq!(asked.is_err_and(|error| error.is::<Overloaded>()), is_busy);
        recorder.assert_all_ended();
        assert_eq!(recorder.spans().len(), usize::from(!is_busy));
    }
}

async fn never(_: Request<()>) -> Result<Answer, Infallible> {
    pending().await
}

const SHORT: TimeoutLayer = TimeoutLayer::new(Duration::from_millis(1));

#[tokio::test]
async fn a_timeout_within_the_layer_is_an_error_of_the_service() {
    let recorder = Recorder::new();
    let service = ServiceBuilder::new().layer(layer(&recorder)).layer(SHORT).service_fn(never);
    assert!(ask(service).await.is_err_and(|error| error.is::<Elapsed>()));
    recorder.assert_all_ended();
    recorder.assert_tree("SERVER GET {error.type=_OTHER} !error");
    assert!(recorder.spans()[0].attributes.get("http.response.status_code").is_none());
}

#[tokio::test]
async fn a_timeout_that_is_answered_tells_why() {
    let recorder = Recorder::new();
    let service = ServiceBuilder::new()
        .layer(layer(&recorder))
        .map_result(told)
        .layer(SHORT)
        .service_fn(never);
    assert_eq!(ask(service).await.expect("an answer"), StatusCode::SERVICE_UNAVAILABLE);
    recorder.assert_all_ended();
    recorder.assert_tree(
        "SERVER GET {error.type=tower::timeout::error::Elapsed, http.response.status_code=503} \
         !error(request timed out)",
    );
}

#[tokio::test]
async fn a_timeout_outside_of_the_layer_drops_the_request() {
    let recorder = Recorder::new();
    let service = ServiceBuilder::new().layer(SHORT).layer(layer(&recorder)).service_fn(never);
    assert!(ask(service).await.is_err_and(|error| error.is::<Elapsed>()));
    recorder.assert_all_ended();
    recorder.assert_tree("SERVER GET {error.type=cancelled}");
    assert!(recorder.spans()[0].attributes.get("http.response.status_code").is_none());
}
