//! What the demo finds around it: ports, collectors, environments.

use crate::harness::{assert_contains, demo, run, said};

#[test]
fn a_busy_port_is_told_in_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let demo = run(&["--port", &port]);
    assert_eq!((demo.code, demo.out.as_str()), (Some(1), ""));
    assert_contains(
        &demo.err,
        &[&format!("gateway: port {port} of 127.0.0.1 is taken; choose another one with --port")],
    );
}

#[test]
fn spans_that_go_elsewhere_are_not_judged() {
    // Nobody listens there: the services say so, and the orders succeed all the same.
    let endpoint = "http://127.0.0.1:9";
    let demo = demo().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output();
    let demo = said(demo.expect("the demo starts"));
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(&demo.out, &["3 orders placed, 0 failed", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
    assert_contains(&demo.err, &["The services complained", "lost"]);
    assert!(!demo.out.contains("PASS"), "{}", demo.out);
}

#[test]
fn the_environment_of_the_user_is_not_the_demos() {
    let nowhere = "http://127.0.0.1:1";
    let demo = demo()
        .env("RUST_LOG", "off")
        .env("HTTP_PROXY", nowhere)
        .env("http_proxy", nowhere)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", nowhere)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_SDK_DISABLED", "true")
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .output();
    let demo = said(demo.expect("the demo starts"));
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert!(demo.closing().starts_with("PASS"), "{}", demo.out);
}
