//! `OTEL_PROPAGATORS`, from the environment through the boundaries and out again. Each list has a
//! process of its own, since it is read once.

#![allow(clippy::expect_used)]

use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Extensions, HeaderMap, Request, Response};
use axum::routing::get;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use throughline::axum::ServerLayer;
use throughline::reqwest::ClientMiddleware;
use throughline::telemetry::{Logs, Telemetry};
use tower::ServiceExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const XRAY: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";

/// Answers in the place of a service, and keeps what it would have got.
struct Canned(Arc<Mutex<HeaderMap>>);

#[async_trait]
impl Middleware for Canned {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        *self.0.lock().expect("nothing panics in here") = request.headers().clone();
        Ok(Response::new(reqwest::Body::from("")).into())
    }
}

/// In the child: a request that brings `name: value`, and what its handler sends on.
#[tokio::test]
#[ignore = "run in a child"]
async fn service() {
    let (Ok(name), Ok(value)) = (std::env::var("CAME_NAME"), std::env::var("CAME_VALUE")) else {
        return;
    };
    // Built before start-up, as statics are.
    let sent = Arc::new(Mutex::new(HeaderMap::new()));
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(ClientMiddleware::new())
        .with(Canned(Arc::clone(&sent)))
        .build();
    let handler = async move || {
        let context = Context::current();
        let trace = context.span().span_context().trace_id();
        let baggage = context.baggage().len();
        http.get("http://stock.internal/").send().await.expect("the canned answer");
        format!("{trace} {baggage}")
    };
    let app = Router::new().route("/", get(handler)).layer(ServerLayer::new());
    let _telemetry = Telemetry::builder("orders")
        .logs(Logs::json().writer(std::io::sink))
        .init()
        .expect("the first in this process");

    let request = Request::get("/").header("baggage", "tenant=acme").header(name, value);
    let request = request.body(Body::empty()).expect("a request");
    let answer = app.oneshot(request).await.expect("infallible");
    let seen = axum::body::to_bytes(answer.into_body(), 1024).await.expect("no error");
    println!("\nseen: {}", String::from_utf8_lossy(&seen));
    let mut names = Vec::new();
    for (name, value) in &*sent.lock().expect("nothing panicked") {
        if name != "accept" {
            names.push(name.as_str().to_owned());
            println!("sent: {name}={}", value.to_str().expect("ASCII"));
        }
    }
    names.sort();
    println!("names: {}", names.join(","));
}

fn run(propagators: &str, name: &str, value: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "service", "--ignored", "--nocapture"])
        .envs([("OTEL_PROPAGATORS", propagators), ("OTEL_TRACES_EXPORTER", "none")])
        .envs([("CAME_NAME", name), ("CAME_VALUE", value)])
        .output()
        .expect("a child");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_environment_chooses_what_is_read_and_what_is_sent() {
    let b3 = format!("{TRACE}-{SPAN}-1");
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let sent_b3 = format!("sent: b3={TRACE}-");
    let sent_multi = format!("sent: x-b3-traceid={TRACE}");
    let sent_w3c = format!("sent: traceparent=00-{TRACE}-");
    let sent_xray = "sent: x-amzn-trace-id=Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=";
    for (list, (name, value), baggage, sent, names) in [
        ("b3", ("b3", b3.as_str()), 0, sent_b3.as_str(), "b3"),
        (
            "b3multi,baggage",
            ("b3", &b3),
            1,
            &sent_multi,
            "baggage,x-b3-sampled,x-b3-spanid,x-b3-traceid",
        ),
        ("xray,baggage", ("x-amzn-trace-id", XRAY), 1, sent_xray, "baggage,x-amzn-trace-id"),
        ("tracecontext,b3,baggage", ("b3", &b3), 1, &sent_w3c, "b3,baggage,traceparent"),
        ("tracecontext", ("traceparent", &w3c), 0, &sent_w3c, "traceparent"),
        ("", ("traceparent", &w3c), 1, &sent_w3c, "baggage,traceparent"),
    ] {
        let output = run(list, name, value);
        assert!(output.contains(&format!("seen: {TRACE} {baggage}\n")), "{list}: {output}");
        assert!(output.contains(sent), "{list}: {output}");
        assert!(output.contains(&format!("names: {names}\n")), "{list}: {output}");
    }
    // A format that isn't spoken is neither read nor sent, and `none` speaks nothing at all.
    let output = run("b3", "traceparent", &w3c);
    assert!(!output.contains(TRACE) && output.contains("names: b3\n"), "{output}");
    let output = run("none", "traceparent", &w3c);
    assert!(!output.contains(TRACE) && output.contains("names: \n"), "{output}");
}
