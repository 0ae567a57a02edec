//! The environment beats the code.

use std::time::{Duration, Instant};

use crate::child::{REMOTE_SPAN, REMOTE_TRACE, run};
use crate::sink::{Answer, Sink, refused};

const SERVICE_SPANS: [&str; 3] = ["instrumented", "instrumented", "native"];

#[test]
fn name_attributes_endpoint_and_headers() {
    let sink = Sink::start(Answer::Ok);
    run(
        "service",
        &[
            ("CODE_ENDPOINT", &refused()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20b"),
            ("OTEL_SERVICE_NAME", "env"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,team=a%2Cb,service.name=beaten"),
        ],
    );
    assert_eq!(sink.names(), SERVICE_SPANS);
    assert_eq!(sink.resource("service.name").as_deref(), Some("env"));
    assert_eq!(sink.resource("service.version").as_deref(), Some("9"));
    assert_eq!(sink.resource("team").as_deref(), Some("a,b"));
    let head = &sink.heads()[0];
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    assert!(head.contains("x-api-key: a b\r\n"), "{head}");
    assert!(head.contains("application/x-protobuf"), "{head}");
}

#[test]
fn the_code_where_the_environment_says_nothing() {
    let sink = Sink::start(Answer::Ok);
    let output =
        run("service", &[("CODE_ENDPOINT", &sink.url), ("OTEL_RESOURCE_ATTRIBUTES", "a=b,broken")]);
    assert_eq!(sink.resource("service.name").as_deref(), Some("code"));
    assert_eq!(sink.resource("service.version").as_deref(), Some("code"));
    assert_eq!(sink.resource("a"), None);
    assert!(output.has_line_with("OTEL_RESOURCE_ATTRIBUTES is ignored as a whole"));
}

#[test]
fn an_endpoint_for_traces_is_a_whole_url() {
    let sink = Sink::start(Answer::Ok);
    let url = format!("{}/tenant/spans", sink.url);
    let other = refused();
    run(
        "service",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &other), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url)],
    );
    assert!(sink.heads()[0].starts_with("POST /tenant/spans "), "{}", sink.heads()[0]);
}

#[test]
fn the_sampler() {
    let sink = Sink::start(Answer::Ok);
    let with = |name, argument| {
        run(
            "service",
            &[
                ("CODE_ENDPOINT", sink.url.as_str()),
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ],
        )
    };
    with("always_off", "");
    with(" always_off", "");
    with("traceidratio", "0.0");
    with("traceidratio ", " 0.0");
    assert!(sink.spans().is_empty());
    // The remote parent is sampled, the roots are not.
    with("parentbased_always_off", "");
    assert_eq!(sink.names(), ["instrumented"]);

    let before = sink.spans().len();
    let output = with("somehow", "");
    assert!(output.has_line_with("OTEL_TRACES_SAMPLER=\"somehow\" is ignored"));
    assert_eq!(sink.spans().len(), before + 3, "the code's sampler is back");
    let output = with("parentbased_traceidratio", "half");
    assert!(output.has_line_with("OTEL_TRACES_SAMPLER_ARG=\"half\" is ignored"));
    assert_eq!(sink.spans().len(), before + 6);
    with("parentbased_traceidratio", "0.0");
    assert_eq!(sink.spans().len(), before + 7, "the remote parent is sampled");
    with("traceidratio", "1");
    with("parentbased_always_on", "");
    with("always_on", "");
    assert_eq!(sink.spans().len(), before + 16);
}

#[test]
fn the_exporter() {
    let sink = Sink::start(Answer::Ok);
    let with = |names| {
        let endpoint = ("CODE_ENDPOINT", sink.url.as_str());
        run("service", &[endpoint, ("OTEL_TRACES_EXPORTER", names)])
    };
    // Spans are made all the same: their ids are in the logs and go on to the next service.
    let output = with("none");
    assert!(output.line("in native")["trace_id"].is_string());
    let output = with("console");
    assert!(output.has_line_with("the exporter \"console\" is not supported"));
    assert!(sink.spans().is_empty());
    let output = with("oltp");
    assert!(output.has_line_with("\"oltp\" is ignored"));
    assert_eq!(sink.names(), SERVICE_SPANS);
}

#[test]
fn a_disabled_sdk_makes_no_spans_and_lets_the_remote_parent_go_on() {
    let sink = Sink::start(Answer::Ok);
    let output = run("service", &[("CODE_ENDPOINT", &sink.url), ("OTEL_SDK_DISABLED", "true")]);
    assert!(sink.heads().is_empty());
    assert!(output.line("in native")["trace_id"].is_null());
    let line = output.line("in instrument in remote");
    assert_eq!(line["trace_id"], REMOTE_TRACE);
    assert_eq!(line["span_id"], REMOTE_SPAN);
}

#[test]
fn a_protocol_that_is_not_spoken_is_told_and_stops_no_service() {
    let sink = Sink::start(Answer::Ok);
    for protocol in ["grpc", "http/json"] {
        let set = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let output = run("service", &[("CODE_ENDPOINT", &sink.url), set]);
        let line = output.lines().into_iter().find(|line| line["level"] == "ERROR").unwrap();
        let error = line["message"].as_str().unwrap();
        assert!(error.contains("OTEL_EXPORTER_OTLP_PROTOCOL is"), "{error}");
        assert!(error.contains(protocol) && error.contains("http/protobuf"), "{error}");
        assert!(output.line("in native")["trace_id"].is_string(), "spans are made");
        assert_eq!(output.line("in instrument in remote")["trace_id"], REMOTE_TRACE);
        assert!(!output.stderr.contains("shutdown:"), "{}", output.stderr);
    }
    assert!(sink.heads().is_empty());
}

#[test]
fn an_endpoint_that_is_none_is_an_error_that_names_its_variable() {
    let output = run("init_fails", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
    assert!(output.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT is"), "{}", output.stderr);
}

#[test]
fn the_timeouts_of_an_export() {
    for name in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT"] {
        let sink = Sink::start(Answer::Never);
        let start = Instant::now();
        let output = run("service", &[("CODE_ENDPOINT", &sink.url), (name, "200")]);
        assert!(output.stderr.contains("no answer within 200ms"), "{}", output.stderr);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[test]
fn the_queue() {
    let sink = Sink::start(Answer::Ok);
    let batch = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
    run("many_spans", &[("CODE_ENDPOINT", &sink.url), batch]);
    assert_eq!(sink.spans().len(), 10);
    assert!(sink.heads().len() >= 5, "{} exports", sink.heads().len());

    run("scheduled", &[("OTEL_BSP_SCHEDULE_DELAY", "10")]);

    // Four wait and four are being sent, at most; ten were made, and each is accounted for.
    let sink = Sink::start(Answer::Never);
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "4");
    let timeout = ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
    let output = run("many_spans", &[("CODE_ENDPOINT", &sink.url), queue, timeout]);
    let failed = output.stderr.split("shutdown: ").nth(1).unwrap().split(' ').next().unwrap();
    let failed = failed.parse::<u64>().unwrap();
    assert!((4..=8).contains(&failed), "{}", output.stderr);
    let report = output.lines().into_iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(report["fields"]["spans.dropped.total"], 10 - failed, "{report}");

    let sink = Sink::start(Answer::Ok);
    let output =
        run("many_spans", &[("CODE_ENDPOINT", &sink.url), ("OTEL_BSP_MAX_QUEUE_SIZE", "lots")]);
    assert!(output.has_line_with("OTEL_BSP_MAX_QUEUE_SIZE=\"lots\" is ignored"));
    assert_eq!(sink.spans().len(), 10);
}

#[test]
fn a_queue_without_bounds_is_bounded_and_no_panic() {
    let sink = Sink::start(Answer::Ok);
    for name in ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] {
        for number in ["18446744073709551615", "99999999999"] {
            let output = run("many_spans", &[("CODE_ENDPOINT", &sink.url), (name, number)]);
            assert!(output.has_line_with(&format!("{name}={number} is more")), "{}", output.stdout);
        }
    }
    // As long as can be said, and no moment that far away can be reckoned.
    for name in ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
    {
        run("many_spans", &[("CODE_ENDPOINT", &sink.url), (name, "18446744073709551615")]);
    }
    assert_eq!(sink.spans().len(), 70);
}

#[test]
fn a_full_queue_is_told_in_the_log_and_what_came_after_at_shutdown() {
    let sink = Sink::start(Answer::Ok);
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "4");
    let output = run("flood", &[("CODE_ENDPOINT", &sink.url), queue]);
    let lines = output.lines();
    let [line] = lines.as_slice() else { panic!("{}", output.stdout) };
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().contains("the queue is full"), "{line}");
    let told = line["fields"]["spans.lost"].as_u64().unwrap();
    let rest = output.stderr.split("shutdown: ").nth(1).unwrap().split(' ').next().unwrap();
    let rest = rest.parse::<u64>().unwrap();
    assert!(told > 0 && rest > 0, "{told} and {rest}");
    assert_eq!(told + rest + sink.spans().len() as u64, 2000);

    // What was said where nobody reads it is not told.
    let sink = Sink::start(Answer::Ok);
    let output = run("flood", &[("CODE_ENDPOINT", &sink.url), queue, ("RUST_LOG", "error")]);
    let lost = 2000 - sink.spans().len();
    let text = format!("shutdown: {lost} span(s) found the queue full and are lost");
    assert!(output.stderr.contains(&text), "{}", output.stderr);
}

#[test]
fn an_outage_is_told_once_with_its_cause_and_without_a_password() {
    let endpoint = refused().replace("http://", "http://me:secret@");
    let output = run("outage", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let lines = output.lines();
    let [line] = lines.as_slice() else { panic!("{}", output.stdout) };
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().contains("refused"), "{line}");
    assert_eq!(line["fields"]["spans.lost"], 1);
    // The second came too soon for a line of its own.
    assert!(output.stderr.contains("shutdown: 1 span(s) could not"), "{}", output.stderr);
    assert!(!output.stdout.contains("secret"), "{}", output.stdout);
}

#[test]
fn a_password_is_sent_in_a_header_and_told_in_no_line() {
    let sink = Sink::start(Answer::Ok);
    let endpoint = sink.url.replace("http://", "http://me:secret@");
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    // What hyper says of its connections holds their addresses.
    let output = run("service", &[endpoint, ("RUST_LOG", "trace")]);
    assert_eq!(sink.names().len(), 3, "{}", output.stdout);
    assert!(output.has_line_with("idle connection"), "{}", output.stdout);
    // `me:secret`
    assert!(sink.heads()[0].contains("authorization: Basic bWU6c2VjcmV0"), "{:?}", sink.heads());
    assert!(!output.stdout.contains("secret"), "{}", output.stdout);

    // Who names a header means it.
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t");
    run("service", &[endpoint, headers]);
    let heads = sink.heads();
    let last = heads.last().unwrap();
    assert!(last.contains("authorization: Bearer t") && !last.contains("Basic"), "{last}");
}

#[test]
fn what_is_not_followed_is_warned_of() {
    let sink = Sink::start(Answer::Ok);
    let with = |name: &str, value: &str| {
        run("service", &[("CODE_ENDPOINT", sink.url.as_str()), (name, value)])
    };
    for kind in ["ATTRIBUTE", "EVENT", "LINK"] {
        let name = format!("OTEL_SPAN_{kind}_COUNT_LIMIT");
        let output = with(&name, "abc");
        assert!(output.has_line_with(&format!("{name}=\"abc\" is ignored")), "{}", output.stdout);
    }
    let output = with("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a,sesame");
    assert!(output.has_line_with("OTEL_EXPORTER_OTLP_HEADERS: header 2"), "{}", output.stdout);
    assert!(!output.stdout.contains("sesame"), "{}", output.stdout);
    assert!(sink.heads().last().unwrap().contains("x-api-key: a"));
}

#[test]
fn propagators_that_are_not_spoken_are_named_in_one_warning() {
    for (list, warning) in [
        ("tracecontext, baggage", None),
        ("b3", None),
        ("b3,b3,B3Multi,XRAY", None),
        ("none", None),
        ("b3,jaeger", Some(r#""jaeger" is deprecated and not spoken; the context travels in b3."#)),
        (
            "ottrace,baggage,zipkin",
            Some(
                r#""ottrace" is deprecated and not spoken, "zipkin" is unknown; the context travels in baggage."#,
            ),
        ),
        (
            "b3x",
            Some(r#""b3x" is unknown; the context travels in tracecontext,baggage (the default)."#),
        ),
        ("none,b3", Some(r#""none" stands alone or not at all; the context travels in b3."#)),
        ("none,b4", Some(r#""b4" is unknown; the context travels in none."#)),
    ] {
        let output =
            run("service", &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_PROPAGATORS", list)]);
        let lines = output.lines();
        let messages = lines.iter().filter_map(|line| line["message"].as_str());
        let told: Vec<&str> = messages.filter(|text| text.contains("OTEL_PROPAGATORS")).collect();
        assert_eq!(told.len(), usize::from(warning.is_some()), "{list}: {told:?}");
        assert!(told.iter().all(|text| text.contains(warning.unwrap_or_default())), "{told:?}");
    }
}

#[test]
fn the_limits_of_a_span() {
    let sink = Sink::start(Answer::Ok);
    let limit = |kind| run("service", &[("CODE_ENDPOINT", &sink.url), (kind, " 0 ")]);
    limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT");
    assert!(sink.spans().iter().all(|span| span.attributes.is_empty()));
    let before = sink.spans().len();
    limit("OTEL_SPAN_EVENT_COUNT_LIMIT");
    assert!(sink.spans()[before..].iter().all(|span| span.events.is_empty()));
    assert_eq!(sink.spans().len(), before + 3);
}

#[test]
fn a_second_init_is_an_error() {
    let output = run("init_twice", &[("OTEL_TRACES_EXPORTER", "none")]);
    assert!(output.stderr.contains("already initialised"), "{}", output.stderr);
}

#[test]
fn a_drop_that_could_not_flush_says_so_with_the_number() {
    let sink = Sink::start(Answer::Never);
    let output = run("drop_over_a_sink_that_hangs", &[("CODE_ENDPOINT", &sink.url)]);
    let line = output.line(
        "1 span(s) could not be flushed within 200ms and are lost; is the collector slow or away, \
         or the deadline (`Builder::shutdown_timeout`) too short?",
    );
    assert_eq!(line["level"], "ERROR");
}
