//! Requests that are given up at every point where they can be, ten thousand of them at once, each
//! with a request that its handler makes: every span of both ends once, tells what happened, and
//! nothing is left.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context as Task, Waker};

use axum::http::{HeaderValue, Request, Response, header};
use http_body::Body;
use opentelemetry::trace::{Tracer, TracerProvider};
use throughline::tower::{ClientLayer, ServerLayer};
use throughline_testing::lineage::{Kind, Span};
use throughline_testing::{Measurements, Recorder};
use tower::{Layer, Service, service_fn};

use super::plan::{Frames, Plan, Random, Waits};
use super::{Decision, provider};

const REQUESTS: usize = 10_000;

/// The other side: waits as it is told, and answers.
async fn answer(request: Request<Plan>) -> Result<Response<Frames>, Infallible> {
    let plan = request.into_body();
    Waits(plan.waits).await;
    let mut response = Response::new(Frames::new(plan));
    if plan.is_call {
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

/// Asks the other side, reads its answer to the end, and then answers in the same way.
async fn handle(
    client: ClientLayer,
    request: Request<Plan>,
) -> Result<Response<Frames>, Infallible> {
    let plan = *request.body();
    throughline::boundary().set_attribute("waits", plan.waits as i64);
    let path = request.uri().path();
    let mut asked = Request::post(format!("http://stock.internal{path}")).body(plan).unwrap();
    if plan.is_call {
        let kind = HeaderValue::from_static("application/grpc");
        asked.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    let Ok(answered) = client.layer(service_fn(answer)).call(asked).await;
    let mut body = pin!(answered.into_body());
    while std::future::poll_fn(|task| body.as_mut().poll_frame(task)).await.is_some() {}
    answer(request).await
}

fn request(plan: Plan) -> Request<Plan> {
    let path = if plan.is_call { "/test.v1.Test/Wait" } else { "/wait" };
    let mut request = Request::post(path).body(plan).unwrap();
    let flags = if plan.is_sampled { "01" } else { "00" };
    let parent = format!("00-{}-{}-{flags}", super::TRACE_ID, super::PARENT_ID);
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    if plan.is_call {
        let kind = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    request
}

/// Polled as often as its plan says, and then dropped, wherever it is.
async fn exchange<S, B>(service: S, plan: Plan)
where
    S: Service<Request<Plan>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut service = service;
    let Ok(response) = service.call(request(plan)).await;
    let mut body = pin!(response.into_body());
    while std::future::poll_fn(|task| body.as_mut().poll_frame(task)).await.is_some() {}
}

/// The layers of one service, on either side of its handler.
struct Layers {
    server: ServerLayer,
    client: ClientLayer,
}

impl Layers {
    fn new<P>(provider: &P, kept: &Measurements) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        let server = ServerLayer::new()
            .with_tracer_provider(provider)
            .with_meter_provider(kept)
            .measure_active_requests(true)
            .measure_body_sizes(true);
        let client = ClientLayer::new()
            .end_with_body(true)
            .with_tracer_provider(provider)
            .with_meter_provider(kept)
            .measure_active_requests(true)
            .measure_body_sizes(true);
        Layers { server, client }
    }

    fn exchange(&self, plan: Plan) -> impl Future<Output = ()> + use<> {
        let client = self.client.clone();
        let handle = move |request| handle(client.clone(), request);
        exchange(self.server.layer(service_fn(handle)), plan)
    }
}

/// All of them are under way before the first is given up.
fn round(layers: &Layers, plans: &[Plan]) {
    let mut task = Task::from_waker(Waker::noop());
    let mut running: Vec<_> =
        plans.iter().map(|plan| (plan.polls, Some(Box::pin(layers.exchange(*plan))))).collect();
    while running.iter().any(|(_, exchange)| exchange.is_some()) {
        for (polls, exchange) in &mut running {
            let Some(polled) = exchange else { continue };
            if *polls == 0 || polled.as_mut().poll(&mut task).is_ready() {
                *exchange = None;
            }
            *polls = polls.saturating_sub(1);
        }
    }
}

fn plans(seed: u64) -> Vec<Plan> {
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    (0..REQUESTS).map(|_| Plan::new(&mut random)).collect()
}

#[test]
fn a_request_that_is_given_up_anywhere_ends_once_and_says_so() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let plans = plans(seed);
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    round(&Layers::new(&recorder.provider(), &kept), &plans);
    recorder.assert_all_ended();
    assert!(recorder.ended_twice().is_empty());
    recorder.assert_no_orphans();
    let spans = recorder.spans();
    let sampled: Vec<_> = plans.iter().filter(|plan| plan.is_sampled).copied().collect();
    assert_told(&spans, Kind::Server, &sampled, Plan::ends);
    assert_told(&spans, Kind::Client, &sampled, Plan::asks_to_the_end);
    assert_below(&spans);
    assert_measured(&kept, "server", "url.scheme=http", &plans, Plan::ends);
    let stock = "server.address=stock.internal server.port=80";
    assert_measured(&kept, "client", stock, &plans, Plan::asks_to_the_end);
}

/// There is a span of this kind for each that was begun, and it says whether it came to its end.
fn assert_told(spans: &[Span], kind: Kind, plans: &[Plan], ends: fn(&Plan) -> bool) {
    let spans: Vec<_> = spans.iter().filter(|span| span.kind == kind).collect();
    let begun: Vec<_> = plans.iter().filter(|plan| plan.begins()).collect();
    assert_eq!(spans.len(), begun.len(), "{kind:?}");
    let cancelled =
        spans.iter().filter(|it| it.attributes.get_str("error.type") == Some("cancelled"));
    let given_up = begun.iter().filter(|plan| !ends(plan)).count();
    assert_eq!(cancelled.count(), given_up, "{kind:?}");
    assert!(given_up > plans.len() / 8 && given_up < plans.len(), "{given_up} were given up");
    let calls = spans.iter().filter(|span| span.attributes.get_str("rpc.method").is_some());
    let told = |span: &&&Span| {
        matches!(span.attributes.get_str("rpc.status_code"), Some("OK" | "CANCELLED"))
    };
    assert_eq!(calls.clone().filter(told).count(), calls.clone().count());
    assert_eq!(calls.count(), begun.iter().filter(|plan| plan.is_call).count());
}

/// Each request has one that its handler has made, in its own trace.
fn assert_below(spans: &[Span]) {
    let of = |kind| spans.iter().filter(move |span: &&Span| span.kind == kind);
    let servers: HashSet<_> = of(Kind::Server).map(|span| span.span_id).collect();
    let parents: HashSet<_> = of(Kind::Client).filter_map(|span| span.parent).collect();
    assert_eq!(parents, servers);
}

/// Each of them once, sampled or not, and none is active any longer.
fn assert_measured(
    kept: &Measurements,
    side: &str,
    labels: &str,
    plans: &[Plan],
    ends: fn(&Plan) -> bool,
) {
    let count = |metric: &str, with: &str| -> usize {
        let lines = kept.of(metric);
        let lines = lines.iter().filter(|line| line.contains(with));
        lines.map(|line| line.rsplit_once(": ").unwrap().1.parse::<usize>().unwrap()).sum()
    };
    for (is_call, metric) in [
        (false, format!("http.{side}.request.duration")),
        (true, format!("rpc.{side}.call.duration")),
    ] {
        let begun = plans.iter().filter(|plan| plan.begins() && plan.is_call == is_call);
        let found = (count(&metric, ""), count(&metric, "error.type=cancelled"));
        let expected = (begun.clone().count(), begun.filter(|plan| !ends(plan)).count());
        assert_eq!(found, expected, "{metric}: {:?}", kept.of(&metric));
    }
    let active = [format!("http.request.method=POST {labels}: 0")];
    assert_eq!(kept.of(&format!("http.{side}.active_requests")), active);
}

#[test]
fn requests_that_are_given_up_leave_nothing() {
    let plans = plans(11);
    let (provider, ended) = provider(Decision::Sampled);
    let layers = Layers::new(&provider, &Measurements::new());
    round(&layers, &plans);
    let before = ended.0.load(std::sync::atomic::Ordering::Relaxed);
    let measured = allocation_counter::measure(|| round(&layers, &plans));
    assert!(ended.0.load(std::sync::atomic::Ordering::Relaxed) >= 2 * before);
    assert!(measured.bytes_max > 1 << 20, "they were not under way at once: {measured:?}");
    assert!(measured.bytes_current.abs() <= 64 << 10, "{measured:?}");
}
