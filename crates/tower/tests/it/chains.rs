//! Messages within messages: what is sent by a handler, what is handled in the process that sent it,
//! and what neither may hide from the other.

use std::future::ready;

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use throughline_core::{Failure, Propagate};
use throughline_testing::{Measurements, Recorder};
use throughline_tower::{ClientLayer, HttpServerLayer, ServerLayer};
use tower::{Layer, ServiceExt, service_fn};

use crate::metrics::{
    Answer, OUT, Route, SAMPLED, Told, call, measured, recorders, request, status,
};

fn client(recorder: &Recorder, kept: &Measurements) -> ClientLayer {
    ClientLayer::new()
        .with_tracer_provider(&recorder.provider())
        .measure_active_requests(true)
        .with_meter_provider(kept)
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("a request")
}

/// Answered by whoever is behind the network.
fn backend(layer: ClientLayer) -> throughline_tower::ClientService<impl Backend> {
    layer.layer(service_fn(|_: Request<()>| ready(status(StatusCode::OK))))
}

trait Backend:
    tower::Service<
        Request<()>,
        Response = Response<Full<bytes::Bytes>>,
        Error = std::io::Error,
        Future: Send,
    > + Clone
{
}

impl<S> Backend for S where
    S: tower::Service<
            Request<()>,
            Response = Response<Full<bytes::Bytes>>,
            Error = std::io::Error,
            Future: Send,
        > + Clone
{
}

#[tokio::test]
async fn what_a_handler_sends_is_measured_as_its_request_is() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        for is_wanted in [true, false] {
            let backend = backend(client(&recorder, &kept));
            let layer = measured::<Told>(&recorder, &kept).filter(move |_| is_wanted);
            let service = layer.layer(service_fn(move |_| {
                let backend = backend.clone();
                async move {
                    drop(backend.oneshot(get("http://shop.example/")).await?.into_body());
                    status(StatusCode::OK)
                }
            }));
            drop(service.oneshot(request(traceparent)).await.expect("an answer"));
        }
        let server = "server.address=shop.example server.port=80";
        let labels = "http.request.method=GET http.response.status_code=200 \
                      network.protocol.version=1.1";
        assert_eq!(kept.of(OUT), [format!("{labels} {server}: 2")], "{kind}");
        let active = kept.of("http.client.active_requests");
        assert_eq!(active, [format!("http.request.method=GET {server}: 0")], "{kind}");
    }
}

#[tokio::test]
async fn a_service_in_this_process_passes_on_what_it_was_sent() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let backend = backend(client(&recorder, &kept));
    let gateway = ServerLayer::new().with_tracer_provider(&recorder.provider()).layer(service_fn(
        move |mut request: Request<()>| {
            *request.uri_mut() = "http://backend.example/".parse().expect("a URI");
            backend.clone().oneshot(request)
        },
    ));
    let outer = client(&recorder, &kept).layer(gateway);
    let response = outer.oneshot(get("http://gateway.example/")).await.expect("an answer");
    drop(response.into_body().collect().await);
    recorder.assert_all_ended();
    recorder.assert_tree(
        "CLIENT GET {server.address=gateway.example}\n  \
         SERVER GET\n    \
         CLIENT GET {server.address=backend.example}",
    );
    assert_eq!(kept.of(OUT).len(), 2, "{:?}", kept.of(OUT));
}

#[tokio::test]
async fn two_clients_within_another_are_one() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let inner = client(&recorder, &kept);
        let twice = client(&recorder, &kept).layer(backend(inner));
        let service = measured::<Told>(&recorder, &kept).layer(service_fn(move |_| {
            let twice = twice.clone();
            async move {
                drop(twice.oneshot(get("http://shop.example/")).await?.into_body());
                status(StatusCode::OK)
            }
        }));
        drop(service.oneshot(request(traceparent)).await.expect("an answer"));
        let counts: Vec<_> = kept.of(OUT).iter().map(|line| line.ends_with(": 1")).collect();
        assert_eq!(counts, [true], "{kind}: {:?}", kept.of(OUT));
    }
}

#[tokio::test]
async fn a_method_that_there_is_stays_one_whoever_answers_for_it() {
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let layer = measured::<Told>(&recorder, &kept).methods(["shop.Orders/Place"]);
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::SERVICE_UNAVAILABLE))));
        let response = service.oneshot(call(traceparent, "shop.Orders/Place")).await;
        drop(response.expect("an answer").into_body().collect().await);
        let expected = "error.type=UNAVAILABLE rpc.method=shop.Orders/Place \
                        rpc.status_code=UNAVAILABLE rpc.system.name=grpc: 1";
        assert_eq!(kept.of("rpc.server.call.duration"), [expected], "{kind}");
        assert_eq!(kept.names(), ["rpc.server.call.duration"], "{kind}");
    }
}

#[tokio::test]
async fn a_call_that_gets_no_answer_tells_no_status() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let failing = service_fn(|_: Request<()>| ready(Answer::Err(std::io::Error::other("no"))));
    let service = client(&recorder, &kept).layer(failing);
    assert!(service.oneshot(call("", "shop.Orders/Place")).await.is_err());
    // Which one its caller is given is made up later, of the error.
    recorder.assert_tree("CLIENT shop.Orders/Place !error {error.type=std::io::error::Error}");
    assert_eq!(recorder.spans()[0].attributes.get("rpc.status_code"), None);
}

#[tokio::test]
async fn paths_that_pass_for_routes_make_no_series() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    // More than are ever kept in this process: the route of the other tests has its place first.
    let paths = (0..5_000).map(|number| &*String::leak(format!("/made/up/{number}")));
    for path in std::iter::once("/orders/{id}").chain(paths) {
        for is_call in [false, true] {
            let mut request =
                if is_call { call(SAMPLED, "no.Such/Call") } else { request(SAMPLED) };
            request.extensions_mut().insert(Route(path));
            let layer = measured::<Told>(&recorder, &kept);
            let service = layer.layer(service_fn(|_| ready(status(StatusCode::NOT_FOUND))));
            drop(service.oneshot(request).now_or_never().expect("at once"));
        }
        recorder.clear();
    }
    let routes = kept.of("http.server.request.duration");
    let routes = routes.iter().filter(|line| line.contains("/made/up/4999"));
    assert_eq!(routes.count(), 0);
}

#[tokio::test]
async fn what_nobody_can_have_sent_is_not_believed() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    for claim in ["9223372036854775808", "18446744073709551615", "1099511627777", "5"] {
        let layer = measured::<Told>(&recorder, &kept).measure_body_sizes(true);
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::OK))));
        let mut request = request(SAMPLED);
        request.headers_mut().insert("content-length", HeaderValue::from_static(claim));
        drop(service.oneshot(request).await.expect("an answer").into_body().collect().await);
    }
    let sizes = kept.of("http.server.request.body.size");
    assert!(sizes.len() == 1 && sizes[0].ends_with(": 1 of 5 By"), "{sizes:?}");
}

#[tokio::test]
async fn a_hook_that_panics_is_told_as_a_panic() {
    type Layered = HttpServerLayer<Told>;
    let hooks: [fn(Layered) -> Layered; 2] = [
        |layer| layer.on_request(|_, _| panic!("on purpose")),
        |layer| layer.on_response(|_, _| panic!("on purpose")),
    ];
    for hook in hooks {
        let (recorder, kept) = (Recorder::new(), Measurements::new());
        let layer = hook(measured::<Told>(&recorder, &kept));
        let service = layer.layer(service_fn(|_| ready(status(StatusCode::OK))));
        let exchange = std::panic::AssertUnwindSafe(async {
            service.oneshot(request(SAMPLED)).await.expect("an answer")
        });
        assert!(exchange.catch_unwind().await.is_err());
        recorder.assert_tree("SERVER GET /orders/{id} !error {error.type=panic}");
        let lines = kept.of("http.server.request.duration");
        assert!(lines.len() == 1 && lines[0].starts_with("error.type=panic"), "{lines:?}");
    }
}

#[tokio::test]
async fn what_is_told_of_a_url_can_be_rewritten() {
    let recorder = Recorder::new();
    let server = ServerLayer::new()
        .with_tracer_provider(&recorder.provider())
        .rewrite_query(|query| query.contains("sig=REDACTED").then(|| "told".to_owned()));
    let client = ClientLayer::new()
        .with_tracer_provider(&recorder.provider())
        .rewrite_url(|url| url.contains("/secret").then(String::new));
    let service = client.layer(server.layer(service_fn(|_| ready(status(StatusCode::OK)))));
    for uri in ["http://a.example/?sig=abc", "http://a.example/secret?x=1"] {
        let response = service.clone().oneshot(get(uri)).await.expect("an answer");
        drop(response.into_body().collect().await);
    }
    recorder.assert_tree(
        "CLIENT GET {url.full=http://a.example/?sig=REDACTED}\n  \
         SERVER GET {url.path=/, url.query=told}\n\
         CLIENT GET {server.address=a.example}\n  \
         SERVER GET {url.path=/secret, url.query=x=1}",
    );
    let urls = recorder.spans().iter().filter(|it| it.attributes.get("url.full").is_some()).count();
    assert_eq!(urls, 1, "the other is left out");
}

#[tokio::test]
async fn a_client_leaves_out_what_it_is_told_to_and_carries_the_context_all_the_same() {
    let recorder = Recorder::new();
    let layer = |name: &str| {
        ClientLayer::new()
            .with_tracer_provider(&recorder.provider_for(name))
            .filter(|request| request.uri().path() != "/health")
    };
    let server = ServerLayer::new().with_tracer_provider(&recorder.provider_for("server"));
    let remote = server.layer(service_fn(|_| ready(status(StatusCode::OK))));
    let remote = layer("client").layer(remote);
    let caller = ServerLayer::new().with_tracer_provider(&recorder.provider_for("caller"));
    let caller = caller.layer(service_fn(move |_: Request<()>| {
        remote.clone().oneshot(get("http://shop.example/health"))
    }));
    let response = caller.oneshot(get("http://caller.example/")).await.expect("an answer");
    drop(response.into_body().collect().await);
    recorder.assert_tree("SERVER GET {url.path=/}\n  SERVER GET {url.path=/health}");
}

#[tokio::test]
async fn a_client_records_the_headers_it_is_told_to() {
    let recorder = Recorder::new();
    let names = ["x-tenant", "authorization"].map(HeaderName::from_static);
    let layer = ClientLayer::new()
        .with_tracer_provider(&recorder.provider())
        .capture_request_headers(names.clone())
        .capture_response_headers(names)
        .methods(["shop.Orders/Place"]);
    let service = layer.layer(service_fn(|request: Request<()>| {
        let mut response = status(StatusCode::OK);
        if let Ok(response) = &mut response {
            *response.headers_mut() = request.headers().clone();
            response.headers_mut().remove("content-type");
        }
        ready(response)
    }));
    for mut request in [get("http://shop.example/"), call("", "made.Up/Name")] {
        for name in ["x-tenant", "authorization"] {
            request.headers_mut().insert(name, HeaderValue::from_static("acme"));
        }
        drop(
            service.clone().oneshot(request).await.expect("an answer").into_body().collect().await,
        );
    }
    let told = |index: usize| -> Vec<String> {
        let spans = recorder.spans();
        let told = spans[index].attributes.iter().map(|(key, _)| key.to_owned());
        told.filter(|key| key.contains(".header.")).collect()
    };
    assert_eq!(told(0), ["http.request.header.x-tenant", "http.response.header.x-tenant"]);
    assert_eq!(told(1), ["rpc.request.header.x-tenant", "rpc.response.header.x-tenant"]);
    recorder.assert_tree(
        "CLIENT GET\n\
         CLIENT grpc !error {rpc.method=_OTHER, rpc.method_original=made.Up/Name, \
         rpc.status_code=UNKNOWN}",
    );
}

#[tokio::test]
async fn where_nothing_goes_along_it_is_measured_as_well() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let layer = client(&recorder, &kept).propagate_to(|_| Propagate::Nothing);
    drop(backend(layer).oneshot(get("http://shop.example/")).await.expect("an answer"));
    assert_eq!(kept.of(OUT).len(), 1);
}

/// Counts the records of one thread.
#[derive(Clone, Default)]
struct Records(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Records {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::ERROR {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

#[test]
fn a_failure_has_one_record_whether_its_request_is_sampled_or_not() {
    use tracing_subscriber::layer::SubscriberExt;
    for (kind, traceparent, recorder) in recorders() {
        let kept = Measurements::new();
        let records = Records::default();
        let subscriber = tracing_subscriber::registry().with(records.clone());
        tracing::subscriber::with_default(subscriber, || {
            // Twice: two layers are one.
            let layer = || measured::<Told>(&recorder, &kept);
            let service = layer().layer(layer().layer(service_fn(|_| {
                throughline_core::boundary().fail(&std::fmt::Error);
                throughline_core::boundary().fail(&std::fmt::Error);
                let mut response = status(StatusCode::INTERNAL_SERVER_ERROR);
                if let Ok(response) = &mut response {
                    response.extensions_mut().insert(Failure::new(&std::fmt::Error));
                }
                ready(response)
            })));
            let response = service.oneshot(request(traceparent)).now_or_never();
            drop(response.expect("at once").expect("an answer").into_body());
        });
        assert_eq!(records.0.load(std::sync::atomic::Ordering::Relaxed), 1, "{kind}");
    }
}
