//! curl, which speaks what it is told: HTTP/1.1, and HTTP/2 without TLS.

use std::net::SocketAddr;

use throughline_testing::lineage::{Settings, Span};
use throughline_testing::tree::assert_tree;

use crate::process::command;
use crate::rig::{CALLER, Rig, judge};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Asks for an order, in a trace that somebody else has begun; `false` where there is no curl that
/// can.
pub(crate) async fn ask_for_order(at: SocketAddr, arguments: &[&str]) -> bool {
    let said = say(at, arguments).await;
    assert!(said.as_ref().is_none_or(|said| said == "order 42"), "{said:?}");
    said.is_some()
}

/// What curl prints, or `None` where there is none with HTTP/2.
pub(crate) async fn say(at: SocketAddr, arguments: &[&str]) -> Option<String> {
    let version = command("curl").arg("--version").output().await.expect("setpriv");
    if !String::from_utf8_lossy(&version.stdout).contains("HTTP2") {
        let required = std::env::var("THROUGHLINE_NATIVE").as_deref() == Ok("required");
        assert!(!required, "there is no curl with HTTP/2, and it is required");
        eprintln!("LEFT OUT: there is no curl with HTTP/2");
        return None;
    }
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "30"])
        .args(["--interface", &CALLER.to_string()])
        .args(["--header", &format!("traceparent: 00-{TRACE}-{PARENT}-01")])
        .args(["--header", "tracestate: vendor=abc,other=1", "--header", "baggage: tenant=acme"])
        .args(arguments)
        .arg(format!("http://{at}/orders/42"));
    let output = curl.output().await.expect("curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// That a span stands in the trace that curl was given, under its span.
pub(crate) fn assert_continued(span: &Span) {
    assert_eq!(span.trace_id.to_string(), TRACE);
    assert_eq!(span.parent.map(|parent| parent.to_string()).as_deref(), Some(PARENT));
    assert_eq!(span.parent_is_remote(), Some(true));
    assert_eq!(span.trace_state, "vendor=abc,other=1");
}

async fn continues(version: &str, arguments: &[&str]) {
    let rig = Rig::new().await;
    if !ask_for_order(rig.shop, arguments).await {
        return;
    }
    let spans = rig.spans(0).await;
    let tree = "SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2, ";
    assert_tree(&spans, &format!("{tree}network.protocol.version={version}}}"));
    assert_continued(&spans[0]);
    // curl makes no span: to a judge who isn't told of outsiders the parent is missing.
    assert_eq!(judge(&spans).breaks[0].answer.as_str(), "external");
    let verdict = rig.recorder.forest().judge(&Settings::complete().allow_external("shop"));
    assert!(verdict.is_unbroken(), "{verdict}");
}

#[tokio::test]
async fn over_http_1_1_its_trace_goes_on() {
    continues("1.1", &["--http1.1"]).await;
}

#[tokio::test]
async fn over_http_2_without_tls_its_trace_goes_on() {
    continues("2", &["--http2-prior-knowledge"]).await;
}
