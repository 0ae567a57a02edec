//! What is measured: of every request, sampled or not, once, by few labels.

use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::io;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use opentelemetry::Context;
use opentelemetry_sdk::trace::Sampler;
use throughline_core::{Failure, boundary};
use throughline_testing::{Measurements, Recorder};
use throughline_tower::{ClientLayer, Framework, HttpServerLayer, ServerLayer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const DURATION: &str = "http.server.request.duration";
const ACTIVE: &str = "http.server.active_requests";
pub(crate) const OUT: &str = "http.client.request.duration";

pub(crate) const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Every way in which a request may be recorded, or not.
pub(crate) fn recorders() -> [(&'static str, &'static str, Recorder); 4] {
    let drops = Recorder::with_sampler(Sampler::AlwaysOff);
    [
        ("sampled", SAMPLED, Recorder::new()),
        ("unsampled", UNSAMPLED, Recorder::new()),
        ("no parent", "", Recorder::new()),
        ("dropped", "", drops),
    ]
}

/// A framework that takes the route from an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {}

#[derive(Clone)]
pub(crate) struct Route(pub(crate) &'static str);

impl Framework for Told {
    fn route(extensions: &Extensions) -> Option<&str> {
        extensions.get::<Route>().map(|Route(route)| *route)
    }

    fn peer(_: &Extensions) -> Option<std::net::SocketAddr> {
        None
    }
}

pub(crate) fn measured<F: Framework>(
    recorder: &Recorder,
    kept: &Measurements,
) -> HttpServerLayer<F> {
    HttpServerLayer::<F>::new()
        .with_tracer_provider(&recorder.provider())
        .measure_active_requests(true)
        .with_meter_provider(kept)
}

pub(crate) fn request(traceparent: &str) -> Request<()> {
    let mut request = Request::get("/orders/42?page=1").body(()).expect("a request");
    if let Ok(value) = HeaderValue::from_str(traceparent)
        && !traceparent.is_empty()
    {
        request.headers_mut().insert("traceparent", value);
    }
    request.extensions_mut().insert(Route("/orders/{id}"));
    request
}

pub(crate) type Answer = Result<Response<Full<Bytes>>, io::Error>;

pub(crate) fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::from("done"));
    *response.status_mut() = status;
    Ok(response)
}

const KNOWN: &str = "http.route=/orders/{id} network.protocol.version=1.1 url.scheme=http";

/// What was measured of one request of each kind that `drive` has sent through the layer.
async fn each<F: Future<Output = ()>>(
    expected: &str,
    drive: impl Fn(HttpServerLayer<Told>, Request<()>) -> F,
) {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        drive(measured(&recorder, &kept), request(traceparent)).await;
        assert_eq!(kept.of(DURATION), [expected], "{kind}");
        assert_eq!(kept.of(ACTIVE), ["http.request.method=GET url.scheme=http: 0"], "{kind}");
        recorder.assert_all_ended();
    }
}

#[tokio::test]
async fn a_request_is_measured_to_the_end_of_its_body() {
    let expected = format!("http.request.method=GET http.response.status_code=200 {KNOWN}: 1");
    each(&expected, async |layer, request| {
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::OK))));
        let response = service.oneshot(request).await.expect("an answer");
        drop(response.into_body().collect().await);
    })
    .await;
}

#[tokio::test]
async fn a_request_is_active_until_its_end() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let service =
            measured::<Told>(&recorder, &kept).layer(service_fn(|_| ready(status(StatusCode::OK))));
        let response = service.oneshot(request(traceparent)).await.expect("an answer");
        let active = |count| [format!("http.request.method=GET url.scheme=http: {count}")];
        assert_eq!(kept.of(ACTIVE), active(1), "{kind}");
        assert_eq!(kept.of(DURATION), [""; 0], "{kind}");
        drop(response);
        assert_eq!(kept.of(ACTIVE), active(0), "{kind}");
    }
}

#[tokio::test]
async fn a_failure_is_measured_with_its_type() {
    let expected =
        format!("error.type=503 http.request.method=GET http.response.status_code=503 {KNOWN}: 1");
    each(&expected, async |layer, request| {
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::SERVICE_UNAVAILABLE))));
        let response = service.oneshot(request).await.expect("an answer");
        drop(response.into_body().collect().await);
    })
    .await;

    let expected = format!("error.type=std::io::error::Error http.request.method=GET {KNOWN}: 1");
    each(&expected, async |layer, request| {
        let failing = service_fn(|_| ready(Answer::Err(io::Error::other("no"))));
        assert!(layer.layer(failing).oneshot(request).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn the_reason_that_the_handler_tells_is_that_of_the_metric() {
    let expected = format!(
        "error.type=core::fmt::Error http.request.method=GET http.response.status_code=500 \
         {KNOWN}: 1"
    );
    each(&expected, async |layer, request| {
        let service = layer.layer(service_fn(|_| {
            boundary().fail(&std::fmt::Error);
            ready(status(StatusCode::INTERNAL_SERVER_ERROR))
        }));
        let response = service.oneshot(request).await.expect("an answer");
        drop(response.into_body().collect().await);
    })
    .await;
    // And so is the one that comes with the response.
    each(&expected, async |layer, request| {
        let service = layer.layer(service_fn(|_| {
            let mut response = status(StatusCode::INTERNAL_SERVER_ERROR);
            if let Ok(response) = &mut response {
                response.extensions_mut().insert(Failure::new(&std::fmt::Error));
            }
            ready(response)
        }));
        let response = service.oneshot(request).await.expect("an answer");
        drop(response.into_body().collect().await);
    })
    .await;
}

#[tokio::test]
async fn who_gives_up_and_who_panics_is_measured() {
    let cancelled = format!("error.type=cancelled http.request.method=GET {KNOWN}: 1");
    each(&cancelled, async |layer, request| {
        let service = layer.layer(service_fn(|_| pending::<Answer>()));
        assert!(service.oneshot(request).now_or_never().is_none());
    })
    .await;
    let panicked = format!("error.type=panic http.request.method=GET {KNOWN}: 1");
    each(&panicked, async |layer, request| {
        let service = layer.layer(service_fn(async |_| -> Answer { panic!("on purpose") }));
        let caught = std::panic::AssertUnwindSafe(service.oneshot(request)).catch_unwind().await;
        assert!(caught.is_err());
    })
    .await;
    let half = format!(
        "error.type=cancelled http.request.method=GET http.response.status_code=200 {KNOWN}: 1"
    );
    each(&half, async |layer, request| {
        let service = layer.layer(service_fn(|_| {
            let frames = futures_util::stream::iter([Ok::<_, io::Error>(Frame::data(
                Bytes::from_static(b"half"),
            ))]);
            let body = StreamBody::new(futures_util::StreamExt::chain(
                frames,
                futures_util::stream::pending(),
            ));
            ready(Ok::<_, Infallible>(Response::new(body)))
        }));
        let mut body = service.oneshot(request).await.expect("an answer").into_body();
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    })
    .await;
}

#[tokio::test]
async fn what_callers_make_up_makes_no_series() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let layer = measured::<throughline_tower::NoFramework>(&recorder, &kept);
    for number in 0..1_000 {
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::NOT_FOUND))));
        let request = Request::builder()
            .method(format!("M{number}").as_str())
            .uri(format!("http://host{number}.example/path/{number}?q={number}"))
            .header("host", format!("host{number}.example"))
            .header("user-agent", format!("agent {number}"))
            .body(())
            .expect("a request");
        drop(service.oneshot(request).await.expect("an answer").into_body().collect().await);
    }
    let expected = "http.request.method=_OTHER http.response.status_code=404 \
                    network.protocol.version=1.1 url.scheme=http: 1000";
    assert_eq!(kept.of(DURATION), [expected]);
    assert_eq!(kept.of(ACTIVE), ["http.request.method=_OTHER url.scheme=http: 0"]);
}

#[tokio::test]
async fn two_layers_measure_once_and_the_inner_one_knows_the_route() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let outer = measured::<throughline_tower::NoFramework>(&recorder, &kept);
        let inner = measured::<Told>(&recorder, &kept);
        let service = ServiceBuilder::new().layer(outer).layer(inner);
        let service = service.service_fn(|_| ready(status(StatusCode::OK)));
        let response = service.oneshot(request(traceparent)).await.expect("an answer");
        drop(response.into_body().collect().await);
        let expected = format!("http.request.method=GET http.response.status_code=200 {KNOWN}: 1");
        assert_eq!(kept.of(DURATION), [expected], "{kind}");
        assert_eq!(kept.of(ACTIVE), ["http.request.method=GET url.scheme=http: 0"], "{kind}");
    }
}

#[tokio::test]
async fn what_is_filtered_or_suppressed_is_not_measured() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let layer = measured::<Told>(&recorder, &kept);
    let service = || service_fn(|_| ready(status(StatusCode::OK)));
    let filtered = layer.clone().filter(|_| false).layer(service());
    drop(filtered.oneshot(request(SAMPLED)).await.expect("an answer"));
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let suppressed = layer.layer(service()).oneshot(request(SAMPLED));
    drop(suppressed.now_or_never().expect("at once").expect("an answer"));
    assert_eq!(kept.names(), [""; 0]);
}

#[tokio::test]
async fn the_buckets_are_those_of_the_conventions_and_the_opt_ins_are_off() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let layer =
        ServerLayer::new().with_tracer_provider(&recorder.provider()).with_meter_provider(&kept);
    let service = layer.layer(service_fn(|_| ready(status(StatusCode::OK))));
    drop(service.oneshot(request(SAMPLED)).await.expect("an answer").into_body().collect().await);
    assert_eq!(kept.names(), [DURATION]);
    let seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!(kept.bounds(DURATION), seconds);
}

#[tokio::test]
async fn bodies_are_measured_where_that_is_wanted() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let layer = measured::<Told>(&recorder, &kept).measure_body_sizes(true);
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::OK))));
        let mut request = request(traceparent);
        request.headers_mut().insert("content-length", HeaderValue::from_static("17"));
        let response = service.oneshot(request).await.expect("an answer");
        drop(response.into_body().collect().await);
        let labels = format!("http.request.method=GET http.response.status_code=200 {KNOWN}");
        let sent = kept.of("http.server.request.body.size");
        assert_eq!(sent, [format!("{labels}: 1 of 17 By")], "{kind}");
        let came = kept.of("http.server.response.body.size");
        assert_eq!(came, [format!("{labels}: 1 of 4 By")], "{kind}");
    }
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(status),
    )])
}

pub(crate) fn call(traceparent: &str, method: &str) -> Request<()> {
    let mut request = request(traceparent);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = format!("http://orders.internal:8443/{method}").parse().expect("a URI");
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request
}

/// Answers a call with this status in its trailers.
async fn answer(status: &'static str) -> Result<Response<impl http_body::Body>, Infallible> {
    let frames = [Ok::<_, Infallible>(Frame::<Bytes>::trailers(trailers(status)))];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

#[tokio::test]
async fn calls_are_measured_by_method_and_status() {
    const CALLS: &str = "rpc.server.call.duration";
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let layer = measured::<Told>(&recorder, &kept).methods(["shop.Orders/Place"]);
        for (method, status) in
            [("shop.Orders/Place", "0"), ("shop.Orders/Place", "13"), ("made.Up/Name", "12")]
        {
            let service = layer.layer(service_fn(move |_| answer(status)));
            let response = service.oneshot(call(traceparent, method)).await.expect("an answer");
            drop(response.into_body().collect().await);
        }
        let gone = layer.layer(service_fn(|_| pending::<Answer>()));
        assert!(gone.oneshot(call(traceparent, "shop.Orders/Place")).now_or_never().is_none());
        let place = "rpc.method=shop.Orders/Place";
        let expected = [
            format!("error.type=INTERNAL {place} rpc.status_code=INTERNAL rpc.system.name=grpc: 1"),
            "error.type=UNIMPLEMENTED rpc.method=_OTHER rpc.status_code=UNIMPLEMENTED \
             rpc.system.name=grpc: 1"
                .to_owned(),
            format!(
                "error.type=cancelled {place} rpc.status_code=CANCELLED rpc.system.name=grpc: 1"
            ),
            format!("{place} rpc.status_code=OK rpc.system.name=grpc: 1"),
        ];
        assert_eq!(kept.of(CALLS), expected, "{kind}");
        assert_eq!(kept.names(), [CALLS], "{kind}");
    }
}

#[tokio::test]
async fn a_call_where_there_are_none_is_measured_as_a_request() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let layer = measured::<Told>(&recorder, &kept);
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::NOT_FOUND))));
        let request = call(traceparent, "anything.I/MakeUp");
        drop(service.oneshot(request).await.expect("an answer").into_body().collect().await);
        let expected = "http.request.method=POST http.response.status_code=404 \
                        http.route=/orders/{id} network.protocol.version=2 url.scheme=http: 1";
        assert_eq!(kept.of(DURATION), [expected], "{kind}");
    }
}

fn client(recorder: &Recorder, kept: &Measurements) -> ClientLayer {
    ClientLayer::new()
        .with_tracer_provider(&recorder.provider())
        .measure_active_requests(true)
        .measure_body_sizes(true)
        .with_meter_provider(kept)
}

/// What a caller has around the request that it sends.
async fn within<F: Future>(traceparent: &str, f: F) -> F::Output {
    let config = throughline_core::Config::new("test", "1");
    let carrier: Vec<_> = match traceparent {
        "" => Vec::new(),
        text => vec![("traceparent".to_owned(), text.to_owned())],
    };
    let extraction = config.extract(&carrier);
    let context = extraction.context().clone();
    opentelemetry::trace::FutureExt::with_context(f, context).await
}

#[tokio::test]
async fn requests_that_go_out_are_measured() {
    for (kind, traceparent, recorder) in recorders() {
        for ends_with_body in [false, true] {
            let kept = Measurements::new();
            // Twice: two layers are one.
            let layer = || client(&recorder, &kept).end_with_body(ends_with_body);
            let service = ServiceBuilder::new().layer(layer()).layer(layer());
            let service = service.service_fn(|_| ready(status(StatusCode::NOT_FOUND)));
            let request = Request::get("https://shop.example/orders/42").body(()).expect("one");
            let response = within(traceparent, service.oneshot(request)).await;
            let body = response.expect("an answer").into_body();
            assert_eq!(kept.of(OUT).is_empty(), ends_with_body, "{kind}");
            drop(body.collect().await);
            let server = "server.address=shop.example server.port=443";
            let labels = format!(
                "error.type=404 http.request.method=GET http.response.status_code=404 \
                 network.protocol.version=1.1 {server}"
            );
            assert_eq!(kept.of(OUT), [format!("{labels}: 1")], "{kind}");
            let active = kept.of("http.client.active_requests");
            assert_eq!(active, [format!("http.request.method=GET {server}: 0")], "{kind}");
            let came = kept.of("http.client.response.body.size");
            assert_eq!(came, [format!("{labels}: 1 of 4 By")], "{kind} {ends_with_body}");
        }
    }
}

#[tokio::test]
async fn calls_that_go_out_are_measured() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let service = client(&recorder, &kept).layer(service_fn(|_| answer("5")));
        let response = within(traceparent, service.oneshot(call("", "shop.Orders/Find"))).await;
        drop(response.expect("an answer").into_body().collect().await);
        let expected = "error.type=NOT_FOUND rpc.method=shop.Orders/Find \
                        rpc.status_code=NOT_FOUND rpc.system.name=grpc \
                        server.address=orders.internal server.port=8443: 1";
        assert_eq!(kept.of("rpc.client.call.duration"), [expected], "{kind}");
    }
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_no_longer_active() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let service = client(&recorder, &kept).layer(service_fn(|_| pending::<Answer>()));
        let request = Request::get("http://shop.example/").body(()).expect("a request");
        assert!(within(traceparent, service.oneshot(request)).now_or_never().is_none(), "{kind}");
        let active = kept.of("http.client.active_requests");
        let server = "server.address=shop.example server.port=80";
        assert_eq!(active, [format!("http.request.method=GET {server}: 0")], "{kind}");
        let labels = format!("error.type=cancelled http.request.method=GET {server}");
        assert_eq!(kept.of(OUT), [format!("{labels}: 1")], "{kind}");
    }
}

/// The variable is read once: in a process of its own.
#[tokio::test]
async fn calls_are_told_by_their_older_names_as_well_where_that_is_wanted() {
    const OPT_IN: &str = throughline_core::stability::OPT_IN;
    const NAME: &str = "metrics::calls_are_told_by_their_older_names_as_well_where_that_is_wanted";
    if std::env::var(OPT_IN).is_err() {
        let child = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", NAME])
            .env(OPT_IN, "http, rpc/dup")
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let tenant = http::HeaderName::from_static("x-tenant");
    let server = measured::<Told>(&recorder, &kept)
        .capture_request_headers([tenant.clone()])
        .capture_response_headers([tenant.clone()]);
    let service = ServiceBuilder::new().layer(client(&recorder, &kept)).layer(server);
    let service = service.service_fn(async |_| {
        let mut response = answer("14").await?;
        response.headers_mut().insert("x-tenant", HeaderValue::from_static("beta"));
        Ok::<_, Infallible>(response)
    });
    let mut request = call("", "shop.Orders/Place");
    request.headers_mut().insert(&tenant, HeaderValue::from_static("acme"));
    let response = service.oneshot(request).await.expect("an answer");
    drop(response.into_body().collect().await);

    let old = "rpc.grpc.status_code=14 rpc.method=Place rpc.service=shop.Orders rpc.system=grpc";
    let address = "server.address=orders.internal server.port=8443";
    assert_eq!(kept.of("rpc.client.duration"), [format!("{old} {address}: 1")]);
    assert_eq!(kept.of("rpc.server.duration"), [format!("{old}: 1")]);
    let mut names = kept.names();
    names.retain(|name| name.starts_with("rpc."));
    let both = ["rpc.client.call.duration", "rpc.client.duration"];
    assert_eq!(names[..2], both);

    for span in recorder.spans() {
        let told: Vec<_> = span.attributes.iter().map(|(key, _)| key).collect();
        for key in [
            "rpc.system",
            "rpc.system.name",
            "rpc.service",
            "rpc.method",
            "rpc.grpc.status_code",
            "rpc.status_code",
        ] {
            let count = told.iter().filter(|told| **told == key).count();
            assert_eq!(count, 1, "{key} of {}: {told:?}", span.name);
        }
    }
    let spans = recorder.spans();
    let server = spans.iter().find(|span| span.kind == throughline_testing::lineage::Kind::Server);
    let told: Vec<_> = server.expect("a span").attributes.iter().map(|(key, _)| key).collect();
    for key in [
        "rpc.request.header.x-tenant",
        "rpc.grpc.request.metadata.x-tenant",
        "rpc.response.header.x-tenant",
        "rpc.grpc.response.metadata.x-tenant",
    ] {
        assert!(told.contains(&key), "{key} is missing: {told:?}");
    }
}
