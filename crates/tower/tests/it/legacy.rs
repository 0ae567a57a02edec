//! hyper-util's client under our layer, to a server of ours, over HTTP/1 and HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use throughline_tower::{ClientLayer, ClientService, ResponseBody};
use tokio::net::TcpListener;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};

use crate::shop::{CHECKSUM, Shop};

type Sends = Client<HttpConnector, Full<Bytes>>;

/// With what the one knows of the other beforehand; and what the spans tell of it.
const VERSIONS: [(bool, &str); 2] = [(false, "1.1"), (true, "2")];

fn network(is_http2: bool) -> Sends {
    Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http()
}

fn layer(shop: &Shop) -> ClientLayer {
    ClientLayer::new().with_tracer_provider(&shop.recorder.provider())
}

fn client(shop: &Shop, is_http2: bool) -> ClientService<Sends> {
    layer(shop).layer(network(is_http2))
}

fn to_the_end(shop: &Shop, is_http2: bool) -> ClientService<Sends> {
    layer(shop).end_with_body(true).layer(network(is_http2))
}

fn request(method: &str, url: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(url);
    request.body(Full::new(Bytes::from_static(b"order"))).expect("a request")
}

/// Reads the two frames that there are before the last one.
async fn two_frames(response: &mut Response<ResponseBody<Incoming>>) {
    let mut read = 0;
    while read < "onetwo".len() {
        let frame = response.body_mut().frame().await.expect("a frame").expect("no error");
        read += frame.data_ref().expect("data").len();
    }
}

#[tokio::test]
async fn a_request_and_its_answer() {
    for (is_http2, version) in VERSIONS {
        let shop = Shop::open().await;
        let url = shop.url("/orders?sig=secret&page=2");
        let asked = client(&shop, is_http2).oneshot(request("POST", &url)).await;
        let answer = asked.expect("an answer").into_body().collect().await.expect("a body");
        assert_eq!(answer.to_bytes(), "placed");
        let port = shop.port;
        let both = format!(
            "http.request.method=POST, server.address=127.0.0.1, server.port={port}, \
             http.response.status_code=201, network.protocol.version={version}"
        );
        shop.assert_tree(
            2,
            &format!(
                "CLIENT POST {{{both}, url.full=http://127.0.0.1:{port}/orders?sig=REDACTED&page=2}}\n  \
                 SERVER POST {{{both}, url.path=/orders, url.scheme=http}}"
            ),
        )
        .await;
        let spans = shop.recorder.spans();
        assert!(spans.iter().all(|span| span.attributes.get("error.type").is_none()));
    }
}

#[tokio::test]
async fn a_request_that_is_given_up() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let asked = client(&shop, is_http2).oneshot(request("GET", &shop.url("/hang")));
        tokio::select! {
            _ = asked => panic!("nobody answers"),
            () = shop.reached.notified() => {}
        }
        let given_up = "CLIENT GET {error.type=cancelled}\n  SERVER GET {error.type=cancelled}";
        shop.assert_tree(2, given_up).await;
        let spans = shop.recorder.spans();
        let status = "http.response.status_code";
        assert!(spans.iter().all(|span| span.attributes.get(status).is_none()));
    }
}

#[tokio::test]
async fn a_body_that_is_left_halfway() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let asked = to_the_end(&shop, is_http2).oneshot(request("GET", &shop.url("/trailers")));
        let mut response = asked.await.expect("a head");
        two_frames(&mut response).await;
        assert_eq!(shop.recorder.open_spans().len(), 2);
        drop(response);
        let told = "http.response.status_code=200, error.type=cancelled";
        shop.assert_tree(2, &format!("CLIENT GET {{{told}}}\n  SERVER GET {{{told}}}")).await;
    }
}

#[tokio::test]
async fn trailers_come_through_and_end_the_span() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let mut request = request("GET", &shop.url("/trailers"));
        request.headers_mut().insert("te", http::HeaderValue::from_static("trailers"));
        let asked = to_the_end(&shop, is_http2).oneshot(request);
        let mut response = asked.await.expect("a head");
        two_frames(&mut response).await;
        assert_eq!(shop.recorder.open_spans().len(), 2, "the trailers are still to come");
        shop.go.notify_one();
        let rest = response.into_body().collect().await.expect("no error");
        assert_eq!(rest.trailers().expect("trailers")[CHECKSUM], "7");
        let told = "http.response.status_code=200";
        shop.assert_tree(2, &format!("CLIENT GET {{{told}}}\n  SERVER GET {{{told}}}")).await;
        let spans = shop.recorder.spans();
        assert!(spans.iter().all(|span| span.attributes.get("error.type").is_none()));
    }
}

#[tokio::test]
async fn a_body_that_fails_where_its_trailers_were_due() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let asked = to_the_end(&shop, is_http2).oneshot(request("GET", &shop.url("/torn")));
        let mut response = asked.await.expect("a head");
        two_frames(&mut response).await;
        shop.go.notify_one();
        response.into_body().collect().await.expect_err("it breaks off");
        shop.assert_tree(
            2,
            "CLIENT GET {http.response.status_code=200, error.type=hyper::error::Error} !error\n  \
             SERVER GET {http.response.status_code=200, error.type=std::io::error::Error} !error",
        )
        .await;
    }
}

#[tokio::test]
async fn nobody_listens() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/orders", listener.local_addr().expect("bound"));
        drop(listener);
        let asked = client(&shop, is_http2).oneshot(request("POST", &url)).await;
        assert!(asked.expect_err("refused").is_connect());
        let failed = "CLIENT POST {error.type=hyper_util::client::legacy::client::Error} !error";
        shop.assert_tree(1, failed).await;
    }
}

/// Long enough for a request to reach its handler.
const SHORT: Duration = Duration::from_millis(500);

/// A timeout outside drops the request; the span cannot know why.
#[tokio::test]
async fn a_timeout_around_the_layer() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let client =
            ServiceBuilder::new().layer(TimeoutLayer::new(SHORT)).service(client(&shop, is_http2));
        let error: BoxError =
            client.oneshot(request("GET", &shop.url("/hang"))).await.expect_err("too late");
        assert!(error.is::<tower::timeout::error::Elapsed>());
        let given_up = "CLIENT GET {error.type=cancelled}\n  SERVER GET {error.type=cancelled}";
        shop.assert_tree(2, given_up).await;
    }
}

/// One inside is an error as any other, whose type nobody can tell any longer.
#[tokio::test]
async fn a_timeout_within_the_layer() {
    for (is_http2, _) in VERSIONS {
        let shop = Shop::open().await;
        let client = ServiceBuilder::new()
            .layer(layer(&shop))
            .layer(TimeoutLayer::new(SHORT))
            .service(network(is_http2));
        client.oneshot(request("GET", &shop.url("/hang"))).await.expect_err("too late");
        let failed = "CLIENT GET {error.type=_OTHER} !error\n  SERVER GET {error.type=cancelled}";
        shop.assert_tree(2, failed).await;
    }
}
