//! Requests that go out: of HTTP, and of gRPC.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use opentelemetry::Context;
use throughline_core::{Propagate, baggage};
use throughline_testing::Recorder;
use throughline_tower::{ClientLayer, ServerLayer, UrlTemplate};
use tower::{Layer, Service, ServiceExt, service_fn};

type Frames = Vec<Result<Frame<Bytes>, io::Error>>;
type Body =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, io::Error>>>>;

fn body(frames: Frames) -> Body {
    StreamBody::new(futures_util::stream::iter(frames))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn trailers(pairs: &[(&'static str, &'static str)]) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::trailers(map(pairs)))
}

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect()
}

/// What was sent.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<HeaderMap>>>);

impl Sent {
    fn header(&self, index: usize, name: &str) -> Option<String> {
        let sent = self.0.lock().expect("a lock");
        let value = sent.get(index).and_then(|headers| headers.get(name));
        value.and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    fn network<F>(
        &self,
        answer: F,
    ) -> impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = io::Error,
        Future: Future + Send,
    > + Clone
    + Send
    + use<F>
    where
        F: Fn() -> Result<Response<Body>, io::Error> + Clone + Send,
    {
        let sent = self.0.clone();
        service_fn(move |request: Request<()>| {
            sent.lock().expect("a lock").push(request.headers().clone());
            ready(answer())
        })
    }
}

fn layer(recorder: &Recorder) -> ClientLayer {
    ClientLayer::new().with_tracer_provider(&recorder.provider())
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("a request")
}

fn call(path: &str) -> Request<()> {
    let mut request = Request::post(path).body(()).expect("a request");
    request.headers_mut().extend(map(&[("content-type", "application/grpc+proto")]));
    request
}

fn answer(
    status: u16,
    headers: &[(&'static str, &'static str)],
    frames: Frames,
) -> Result<Response<Body>, io::Error> {
    let mut response = Response::new(body(frames));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    *response.headers_mut() = map(headers);
    Ok(response)
}

/// The tree of a request to a network that answers so, its body read to the end.
async fn tree(
    layer: impl FnOnce(ClientLayer) -> ClientLayer,
    request: Request<()>,
    answer: impl Fn() -> Result<Response<Body>, io::Error> + Clone + Send,
    expected: &str,
) -> Sent {
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let service = layer(self::layer(&recorder)).layer(sent.network(answer));
    if let Ok(response) = service.oneshot(request).await {
        drop(response.into_body().collect().await);
    }
    recorder.assert_all_ended();
    recorder.assert_tree(expected);
    sent
}

#[tokio::test]
async fn a_request_ends_with_its_head_and_carries_its_span() {
    let recorder = Recorder::new();
    let sent = Sent::default();
    let service =
        layer(&recorder).layer(sent.network(|| answer(200, &[], vec![data("a"), data("b")])));
    let response = service.oneshot(get("https://u:p@shop.example/orders?sig=secret")).await;
    recorder.assert_tree(
        "CLIENT GET {http.request.method=GET, url.full=https://REDACTED:REDACTED@shop.example/orders?sig=REDACTED, server.address=shop.example, server.port=443, http.response.status_code=200, network.protocol.version=1.1}",
    );
    drop(response);
    let span = &recorder.spans()[0];
    let wanted = format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(sent.header(0, "traceparent"), Some(wanted));
}

#[tokio::test]
async fn a_request_may_end_with_its_body() {
    let recorder = Recorder::new();
    let sent = Sent::default();
    let layer = layer(&recorder).end_with_body(true);
    let service = layer.layer(sent.network(|| answer(200, &[], vec![data("a"), data("b")])));
    let response = service.oneshot(get("http://shop.example/")).await.expect("an answer");
    assert_eq!(recorder.open_spans().len(), 1);
    drop(response.into_body().collect().await);
    recorder.assert_all_ended();
    recorder.assert_tree("CLIENT GET");
}

#[tokio::test]
async fn a_template_names_a_request() {
    let mut request = get("http://shop.example/orders/42");
    request.extensions_mut().insert(UrlTemplate::new("/orders/{id}"));
    tree(
        |layer| layer,
        request,
        || answer(200, &[], vec![]),
        "CLIENT GET /orders/{id} {url.template=/orders/{id}}",
    )
    .await;
}

#[tokio::test]
async fn statuses_and_errors_of_requests() {
    let to = || get("http://shop.example/");
    tree(|it| it, to(), || answer(404, &[], vec![]), "CLIENT GET {error.type=404} !error").await;
    tree(|it| it, to(), || answer(503, &[], vec![]), "CLIENT GET {error.type=503} !error").await;
    let refused = || Err(io::Error::other("refused"));
    tree(|it| it, to(), refused, "CLIENT GET {error.type=std::io::error::Error} !error").await;
}

#[tokio::test]
async fn calls_end_with_the_status_in_their_trailers() {
    let to = || call("/orders.v1.Orders/Place");
    let ok = || answer(200, &[], vec![data("a"), data("b"), trailers(&[("grpc-status", "0")])]);
    let uri: Uri = "http://orders.internal:50051".parse().expect("a URI");
    tree(
        |layer| layer.target(&uri),
        to(),
        ok,
        "CLIENT orders.v1.Orders/Place {rpc.system.name=grpc, rpc.method=orders.v1.Orders/Place, server.address=orders.internal, server.port=50051, rpc.status_code=OK}",
    )
    .await;
    let missing = || {
        answer(200, &[], vec![trailers(&[("grpc-status", "5"), ("grpc-message", "no%20order")])])
    };
    let wanted = "CLIENT orders.v1.Orders/Place {rpc.status_code=NOT_FOUND, error.type=NOT_FOUND} !error(no order)";
    tree(|it| it, to(), missing, wanted).await;
    let alone = || answer(200, &[("grpc-status", "14"), ("grpc-message", "later")], vec![]);
    let wanted = "CLIENT orders.v1.Orders/Place {rpc.status_code=UNAVAILABLE} !error(later)";
    tree(|it| it, to(), alone, wanted).await;
    let nonsense = || answer(200, &[], vec![data("a"), trailers(&[("grpc-status", "99")])]);
    tree(|it| it, to(), nonsense, "CLIENT orders.v1.Orders/Place {rpc.status_code=UNKNOWN} !error")
        .await;
    let torn = || answer(200, &[], vec![data("a")]);
    tree(|it| it, to(), torn, "CLIENT orders.v1.Orders/Place {rpc.status_code=UNKNOWN} !error")
        .await;
    let proxy = || answer(503, &[], vec![data("upstream is away")]);
    tree(
        |it| it,
        to(),
        proxy,
        "CLIENT orders.v1.Orders/Place {rpc.status_code=UNAVAILABLE} !error",
    )
    .await;
    let broken = || answer(200, &[], vec![data("a"), Err(io::Error::other("reset"))]);
    let wanted = "CLIENT orders.v1.Orders/Place {error.type=std::io::error::Error} !error";
    tree(|it| it, to(), broken, wanted).await;
}

#[tokio::test]
async fn a_call_whose_answer_nobody_reads_is_cancelled() {
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let ok = || answer(200, &[], vec![data("a"), trailers(&[("grpc-status", "0")])]);
    let service = layer(&recorder).layer(sent.network(ok));
    let response = service.oneshot(call("/orders.v1.Orders/Watch")).await.expect("an answer");
    let mut body = response.into_body();
    drop(body.frame().await);
    assert_eq!(recorder.open_spans().len(), 1);
    drop(body);
    recorder.assert_tree(
        "CLIENT orders.v1.Orders/Watch {rpc.status_code=CANCELLED, error.type=cancelled}",
    );
}

#[tokio::test]
async fn what_goes_along_is_decided_by_the_address() {
    let _attached = baggage::set("tenant", "acme").expect("room").attach();
    let decided = |layer: ClientLayer| {
        layer.propagate_to(|uri| match uri.host() {
            Some("inside.example") => Propagate::All,
            Some("partner.example") => Propagate::TraceOnly,
            _ => Propagate::Nothing,
        })
    };
    for (host, traceparent, baggage) in [
        ("inside.example", true, true),
        ("partner.example", true, false),
        ("else.example", false, false),
    ] {
        let mut request = get(&format!("http://{host}/"));
        request.headers_mut().extend(map(&[("baggage", "stale=1"), ("traceparent", "stale")]));
        let sent = tree(decided, request, || answer(200, &[], vec![]), "CLIENT GET").await;
        let carried = sent.header(0, "traceparent").is_some_and(|header| header.starts_with("00-"));
        assert_eq!(carried, traceparent, "{host}");
        assert_eq!(
            sent.header(0, "baggage").as_deref(),
            baggage.then_some("tenant=acme"),
            "{host}"
        );
    }
}

#[tokio::test]
async fn two_layers_make_one_span() {
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let network = sent.network(|| answer(200, &[], vec![data("a")]));
    let service = layer(&recorder).layer(layer(&recorder).layer(network));
    let response = service.oneshot(get("http://shop.example/")).await.expect("an answer");
    drop(response.into_body().collect().await);
    recorder.assert_tree("CLIENT GET");
}

/// A proxy hands the request on to a worker of its own, where the context is lost.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a task that loses the context")]
async fn a_request_that_is_passed_on_keeps_its_trace_without_a_current_context() {
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let client = layer(&recorder).layer(sent.network(|| answer(200, &[], vec![data("a")])));
    let proxy = service_fn(move |mut request: Request<()>| {
        *request.uri_mut() = Uri::from_static("http://behind.example/");
        let client = client.clone();
        async move {
            let task = tokio::spawn(async move {
                assert!(!Context::map_current(|it| {
                    opentelemetry::trace::TraceContextExt::has_active_span(it)
                }));
                client.oneshot(request).await.map_err(|error| error.to_string())
            });
            Ok::<_, Infallible>(task.await.expect("no panic").expect("an answer"))
        }
    });
    let server = ServerLayer::new().with_tracer_provider(&recorder.provider()).layer(proxy);
    let response = server.oneshot(get("/")).await.expect("infallible");
    drop(response.into_body().collect().await);
    recorder.assert_tree("SERVER GET\n  CLIENT GET");
}

#[tokio::test]
async fn what_ends_with_its_body_tells_how_that_ended() {
    for (frames, expected) in [
        (
            vec![data("a"), Err(io::Error::other("reset"))],
            "CLIENT GET {error.type=std::io::error::Error} !error",
        ),
        (vec![data("a"), data("b")], "CLIENT GET"),
    ] {
        let frames = Mutex::new(Some(frames));
        let frames = Arc::new(frames);
        let network =
            move || answer(200, &[], frames.lock().expect("a lock").take().expect("once"));
        tree(|layer| layer.end_with_body(true), get("http://shop.example/"), network, expected)
            .await;
    }
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let service = layer(&recorder)
        .end_with_body(true)
        .layer(sent.network(|| answer(200, &[], vec![data("a"), data("b")])));
    let mut body =
        service.oneshot(get("http://shop.example/")).await.expect("an answer").into_body();
    drop(body.frame().await);
    drop(body);
    recorder.assert_tree("CLIENT GET {error.type=cancelled}");
}

#[tokio::test]
async fn an_inner_layer_lets_no_more_through_because_an_outer_one_was_there() {
    let _attached = baggage::set("user", "alice").expect("room").attach();
    let (recorder, sent) = (Recorder::new(), Sent::default());
    let network = sent.network(|| answer(200, &[], vec![]));
    let inner = layer(&recorder).propagate_to(|_| Propagate::TraceOnly).layer(network);
    let response = layer(&recorder).layer(inner).oneshot(get("http://shop.example/")).await;
    drop(response.expect("an answer"));
    assert!(sent.header(0, "traceparent").is_some());
    assert_eq!(sent.header(0, "baggage"), None);
    recorder.assert_tree("CLIENT GET");
}

#[tokio::test]
async fn a_url_of_a_client_with_a_target_is_whole() {
    for (target, full, address, port) in [
        ("https://api.internal", "https://api.internal/orders", "api.internal", 443),
        ("http://[::1]:8080", "http://[::1]:8080/orders", "::1", 8080),
    ] {
        let uri: Uri = target.parse().expect("a URI");
        let expected =
            format!("CLIENT GET {{url.full={full}, server.address={address}, server.port={port}}}");
        tree(|layer| layer.target(&uri), get("/orders"), || answer(200, &[], vec![]), &expected)
            .await;
    }
}
