//! Meters: bound late, and labels that have an end.

use opentelemetry::trace::SpanKind;
use throughline_core::http::Host;
use throughline_core::metrics::Operation;
use throughline_core::{Config, Description, End, messaging, semconv};
use throughline_testing::Measurements;

const OUT: &str = "http.client.request.duration";

fn send(config: &Config, host: &str) {
    let mut span = config.send(SpanKind::Client, || Description::new("GET", 1));
    let host = Host { address: host.into(), port: None };
    if let Some(measure) = config.measure(Operation::HttpClient, |labels| labels.set_server(&host))
    {
        span.measured(measure);
    }
    span.end(End::Completed);
}

#[test]
fn a_program_that_calls_hosts_without_end_measures_them_as_others() {
    let kept = Measurements::new();
    let config = Config::new("test", "1").with_meter_provider(&kept);
    for number in 0..1_000 {
        send(&config, &format!("host{number}.example"));
    }
    let series = kept.of(OUT);
    assert_eq!(series.len(), 257);
    assert!(series.contains(&"server.address=_OTHER: 744".to_owned()), "{series:?}");
    // Neither do ports make more: who says whom to call back may name any number of them.
    for port in 0..1_000 {
        let mut span = config.send(SpanKind::Client, || Description::new("GET", 1));
        let host = Host { address: "host0.example".into(), port: Some(port) };
        let measure = config.measure(Operation::HttpClient, |labels| labels.set_server(&host));
        span.measured(measure.expect("a provider was given"));
    }
    let of_ports = kept.of(OUT).iter().filter(|line| line.contains("error.type")).count();
    assert_eq!(of_ports, 1, "all of them are others");
    // Those that were first keep their names.
    send(&config, "host0.example");
    assert!(kept.of(OUT).contains(&"server.address=host0.example: 2".to_owned()));
}

#[test]
fn a_measurement_ends_once_and_keeps_its_first_reason() {
    let kept = Measurements::new();
    let config = Config::new("test", "1").with_meter_provider(&kept);
    let mut span = config.send(SpanKind::Client, || Description::new("GET", 1));
    let measure = config.measure(Operation::HttpClient, |labels| {
        labels.set(semconv::HTTP_REQUEST_METHOD, "GET");
    });
    span.measured(measure.expect("a provider was given"));
    span.finish(End::failed("503"));
    span.finish(End::Panicked);
    drop(span);
    assert_eq!(kept.of(OUT), ["error.type=503 http.request.method=GET: 1"]);
}

#[test]
fn a_boundary_finds_the_global_meters_that_are_set_after_it_was_made() {
    let (early, given) = (Config::new("test", "1"), Measurements::new());
    send(&early, "early.example");
    assert!(!early.is_measured(), "there is no provider yet");
    let kept = Measurements::new();
    opentelemetry::global::set_meter_provider(kept.clone());
    let found = (0..256).find(|_| {
        early.inject(&opentelemetry::Context::new(), &mut Vec::<(String, String)>::new());
        early.is_measured()
    });
    assert!(found.is_some(), "it wasn't found within 256 messages");
    // Nobody has to look again.
    assert!(Config::new("another", "1").is_measured());
    let own = Config::new("test", "1").with_meter_provider(&given);
    let measure = own.measure(Operation::HttpServer, |_| ()).expect("measured");
    let mut span =
        own.receive(own.extract(&Vec::<(String, String)>::new()), SpanKind::Server, || {
            Description::new("GET", 1)
        });
    span.measured(measure);
    span.end(End::Completed);
    assert_eq!(given.of("http.server.request.duration"), [": 1"]);
    assert!(kept.of("http.server.request.duration").is_empty(), "what was given is preferred");
}

#[test]
fn what_is_sent_and_consumed_is_counted_and_timed() {
    let kept = Measurements::new();
    let config = Config::new("test", "1").with_meter_provider(&kept);
    let measured = |operation, name: &'static str, messages: Option<u64>| {
        let mut span = config.send(SpanKind::Client, || Description::new(name, 1));
        let measure = config.measure(operation, |labels| {
            messaging::label("kafka", name, messaging::destination(name, "orders"), labels);
        });
        let measure = measure.expect("a provider was given");
        if let Some(messages) = messages {
            measure.messages(messages);
        }
        span.measured(measure);
        span.end(End::Completed);
    };
    measured(Operation::MessagingSend, "send", Some(3));
    measured(Operation::MessagingReceive, "poll", Some(2));
    measured(Operation::MessagingSettle, "commit", None);
    measured(Operation::MessagingProcess, "process", Some(1));
    let of = |operation: &str, kind: Option<&str>, count: u64| {
        let kind = kind.map_or_else(String::new, |it| format!("messaging.operation.type={it} "));
        format!(
            "messaging.destination.name=orders messaging.operation.name={operation} \
             {kind}messaging.system.name=kafka: {count}"
        )
    };
    let timed = [
        of("commit", Some("settle"), 1),
        of("poll", Some("receive"), 1),
        of("send", Some("send"), 1),
    ];
    assert_eq!(kept.of("messaging.client.operation.duration"), timed);
    assert_eq!(kept.of("messaging.client.sent.messages"), [of("send", Some("send"), 3)]);
    let consumed = [of("poll", Some("receive"), 2), of("process", None, 1)];
    assert_eq!(kept.of("messaging.client.consumed.messages"), consumed);
    assert_eq!(kept.of("messaging.process.duration"), [of("process", None, 1)]);
}

#[test]
fn what_is_active_comes_to_nought_without_a_label_as_well() {
    let kept = Measurements::new();
    let config = Config::new("test", "1").measure_active(true).with_meter_provider(&kept);
    let mut span = config.send(SpanKind::Client, || Description::new("GET", 1));
    span.measured(config.measure(Operation::HttpClient, |_| ()).expect("a provider was given"));
    assert_eq!(kept.of("http.client.active_requests"), [": 1"]);
    span.end(End::Completed);
    assert_eq!(kept.of("http.client.active_requests"), [": 0"]);
}
