//! Requests that are given up at every point where they can be, ten thousand of them at once: each
//! span ends once, tells what happened, and nothing is left.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, Waker};

use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body::{Body, Frame};
use throughline::tower::ServerLayer;
use throughline_testing::{Measurements, Recorder};
use tower::{Layer, Service, service_fn};

use super::{Decision, provider};

const REQUESTS: usize = 10_000;

/// As random as a test needs, and the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((number ^ (number >> 31)) % limit as u64).unwrap_or_default()
    }
}

/// What a request is like, and how often it is polled before nobody wants it any longer.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// How often its handler waits.
    waits: usize,
    frames: usize,
    /// How often its body waits before each frame, and before its end.
    pauses: usize,
    is_call: bool,
    is_sampled: bool,
    polls: usize,
}

impl Plan {
    fn new(random: &mut Random) -> Self {
        let (waits, frames, pauses) = (random.below(4), random.below(4), random.below(3));
        let mut plan = Plan {
            waits,
            frames,
            pauses,
            is_call: random.below(2) == 0,
            is_sampled: random.below(4) > 0,
            polls: 0,
        };
        plan.polls = random.below(plan.needs() + 2);
        plan
    }

    /// How many polls it takes to the end of the body: one, and one more for each wait. A call's
    /// trailers are a frame more.
    fn needs(&self) -> usize {
        let frames = self.frames + usize::from(self.is_call);
        1 + self.waits + (frames + 1) * self.pauses
    }

    /// Whether it came to its end. That of a call stands in its trailers, which are the last frame.
    fn ends(&self) -> bool {
        let unread = if self.is_call { self.pauses } else { 0 };
        self.polls >= self.needs() - unread
    }
}

/// Pending so many times.
struct Waits(usize);

impl Future for Waits {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

struct Frames {
    plan: Plan,
    paused: usize,
    sent: usize,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.paused < self.plan.pauses {
            self.paused += 1;
            return Poll::Pending;
        }
        (self.paused, self.sent) = (0, self.sent + 1);
        let Plan { frames, is_call, .. } = self.plan;
        Poll::Ready(if self.sent <= frames {
            Some(Ok(Frame::data(Bytes::from_static(b"frame"))))
        } else if is_call && self.sent == frames + 1 {
            let status = (header::HeaderName::from_static("grpc-status"), HeaderValue::from(0));
            Some(Ok(Frame::trailers(HeaderMap::from_iter([status]))))
        } else {
            None
        })
    }
}

async fn handle(request: Request<Plan>) -> Result<Response<Frames>, Infallible> {
    let plan = request.into_body();
    throughline::boundary().set_attribute("waits", plan.waits as i64);
    Waits(plan.waits).await;
    let mut response = Response::new(Frames { plan, paused: 0, sent: 0 });
    if plan.is_call {
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
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

/// All of them are under way before the first is given up.
fn round(layer: &ServerLayer, plans: &[Plan]) {
    let mut task = Task::from_waker(Waker::noop());
    let mut running: Vec<_> = plans
        .iter()
        .map(|plan| (plan.polls, Box::pin(exchange(layer.layer(service_fn(handle)), *plan))))
        .map(|(polls, exchange)| (polls, Some(exchange)))
        .collect();
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
    let layer = measured(ServerLayer::new(), &kept).with_tracer_provider(&recorder.provider());
    round(&layer, &plans);
    assert_measured(&kept, &plans);
    recorder.assert_all_ended();
    assert!(recorder.ended_twice().is_empty());
    // The first poll of an exchange is what begins it.
    let begun = |plan: &&Plan| plan.is_sampled && plan.polls > 0;
    let spans = recorder.spans();
    assert_eq!(spans.len(), plans.iter().filter(begun).count());
    let cancelled = |span: &&throughline_testing::lineage::Span| {
        span.attributes.get_str("error.type") == Some("cancelled")
    };
    let given_up = plans.iter().filter(begun).filter(|plan| !plan.ends()).count();
    assert_eq!(spans.iter().filter(cancelled).count(), given_up);
    assert!(given_up > REQUESTS / 4 && given_up < REQUESTS, "{given_up} were given up");
    let calls = spans.iter().filter(|span| span.attributes.get_str("rpc.method").is_some());
    let told = |span: &&throughline_testing::lineage::Span| {
        matches!(span.attributes.get_str("rpc.status_code"), Some("OK" | "CANCELLED"))
    };
    assert!(calls.clone().count() > 0 && calls.clone().all(|span| told(&span)));
}

fn measured(layer: ServerLayer, kept: &Measurements) -> ServerLayer {
    layer.with_meter_provider(kept).measure_active_requests(true).measure_body_sizes(true)
}

/// Each of them once, sampled or not, and none is active any longer.
fn assert_measured(kept: &Measurements, plans: &[Plan]) {
    let count = |metric: &str, with: &str| -> usize {
        let lines = kept.of(metric);
        let lines = lines.iter().filter(|line| line.contains(with));
        lines.map(|line| line.rsplit_once(": ").unwrap().1.parse::<usize>().unwrap()).sum()
    };
    let begun = |is_call| {
        let begun = plans.iter().filter(move |plan| plan.polls > 0 && plan.is_call == is_call);
        (begun.clone().count(), begun.filter(|plan| !plan.ends()).count())
    };
    for (is_call, metric) in
        [(false, "http.server.request.duration"), (true, "rpc.server.call.duration")]
    {
        let found = (count(metric, ""), count(metric, "error.type=cancelled"));
        assert_eq!(found, begun(is_call), "{metric}: {:?}", kept.of(metric));
    }
    let active = ["http.request.method=POST url.scheme=http: 0"];
    assert_eq!(kept.of("http.server.active_requests"), active);
}

#[test]
fn requests_that_are_given_up_leave_nothing() {
    let plans = plans(11);
    let (provider, ended) = provider(Decision::Sampled);
    let kept = Measurements::new();
    let layer = measured(ServerLayer::new(), &kept).with_tracer_provider(&provider);
    round(&layer, &plans);
    let before = ended.0.load(std::sync::atomic::Ordering::Relaxed);
    let measured = allocation_counter::measure(|| round(&layer, &plans));
    assert!(ended.0.load(std::sync::atomic::Ordering::Relaxed) >= 2 * before);
    assert!(measured.bytes_max > 1 << 20, "they were not under way at once: {measured:?}");
    assert!(measured.bytes_current.abs() <= 64 << 10, "{measured:?}");
}
