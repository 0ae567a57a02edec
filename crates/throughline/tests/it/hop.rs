//! What a service passes on of what its caller sent.
#![expect(clippy::disallowed_methods, reason = "callers and servers that know of no trace")]

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use throughline_testing::Recorder;
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use crate::services::{DEADLINE, client, start};

/// All values of a header, as one list.
fn list(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| value.to_str().expect("text"));
    values.collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_context_goes_through_a_service() {
    let recorder = Recorder::new();
    // The next one is nobody of ours: it shows what came over the wire.
    let (came, mut arrived) = unbounded_channel();
    let next = post(async move |headers: HeaderMap| came.send(headers).expect("waited for"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", next)).await });

    let http = client(&recorder, "orders");
    let handler = async move || drop(http.post(url).send().await.expect("answered"));
    let orders = start(&recorder, "orders", Router::new().route("/orders", post(handler))).await;

    for (flags, spans) in [("01", 2), ("00", 0)] {
        recorder.clear();
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let caller = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = caller
            .post(format!("http://{orders}/orders"))
            .header("traceparent", format!("00-{trace}-b7ad6b7169203331-{flags}"))
            // In two headers, and one key that OpenTelemetry cannot hold.
            .header("tracestate", "foo@@bar=1,ot=th:0")
            .header("tracestate", "last=2")
            .header("baggage", "tenant=J%C3%BCrgen;sealed=%2C1")
            .header("baggage", "shop=7");
        let answer = request.send().await.expect("answered");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a body");
        let headers = tokio::time::timeout(DEADLINE, arrived.recv()).await;
        let headers = headers.expect("it comes in time").expect("the next service runs");

        let ended = recorder.wait_for(spans, DEADLINE).await.expect("the spans end");
        assert_eq!(ended.len(), spans);
        let sender = ended.iter().find(|span| span.name == "POST").map(|span| span.span_id);
        let left = list(&headers, "traceparent");
        // Where nothing is recorded the request still leaves as somebody else's than the caller's.
        let sender = sender.map_or_else(|| left[36..52].to_owned(), |id| id.to_string());
        assert_ne!(sender, "b7ad6b7169203331");
        assert_eq!(left, format!("00-{trace}-{sender}-{flags}"));
        assert_eq!(list(&headers, "tracestate"), "foo@@bar=1,ot=th:0,last=2");
        let baggage = list(&headers, "baggage");
        let mut members: Vec<_> = baggage.split(',').collect();
        members.sort_unstable();
        assert_eq!(members, ["shop=7", "tenant=J%C3%BCrgen;sealed=%2C1"]);
    }
}
