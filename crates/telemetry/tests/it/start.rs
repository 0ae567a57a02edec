//! Settings of the builder, and the errors of a start.

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use throughline_telemetry::{InitError, Telemetry};

use crate::child::{in_clean_env, run};
use crate::sink::{Answer, Sink};

#[test]
fn the_resource_says_who_where_and_which() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let telemetry = Telemetry::builder("orders")
        .service_version("1.4.2")
        .resource_attribute(KeyValue::new("team", "payments"))
        .resource_attribute(KeyValue::new("host.name", "chosen"))
        .endpoint(format!("{}/", sink.url))
        .build()
        .unwrap();
    drop(telemetry.tracer_provider().tracer("test").start("work"));
    telemetry.shutdown().unwrap();

    let of = |key| sink.resource(key);
    assert_eq!(of("service.name").as_deref(), Some("orders"));
    assert_eq!(of("service.version").as_deref(), Some("1.4.2"));
    assert_eq!(of("team").as_deref(), Some("payments"));
    assert_eq!(of("host.name").as_deref(), Some("chosen"));
    assert_eq!(of("process.pid"), Some(std::process::id().to_string()));
    assert_eq!(of("process.runtime.name").as_deref(), Some("rustc"));
    assert_eq!(of("telemetry.sdk.language").as_deref(), Some("rust"));
    assert_eq!(of("service.instance.id").map(|id| id.len()), Some(36));
    for key in ["host.arch", "os.type", "process.executable.name", "telemetry.sdk.version"] {
        assert!(of(key).is_some_and(|value| !value.is_empty()), "{key}");
    }
    #[cfg(unix)]
    assert_eq!(of("process.parent_pid"), Some(std::os::unix::process::parent_id().to_string()));
    assert!(sink.heads()[0].starts_with("POST /v1/traces HTTP/1.1"), "{}", sink.heads()[0]);
}

#[test]
fn a_service_without_a_name_is_named_after_its_executable() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let telemetry = Telemetry::builder("").endpoint(&sink.url).build().unwrap();
    drop(telemetry.tracer_provider().tracer("test").start("work"));
    telemetry.shutdown().unwrap();
    let name = sink.resource("service.name").unwrap();
    assert_eq!(
        name.strip_prefix("unknown_service:"),
        sink.resource("process.executable.name").as_deref()
    );
}

/// Wants spans recorded, for processors that look at them, and not exported.
#[derive(Clone, Debug)]
struct RecordOnly;

impl ShouldSample for RecordOnly {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        SamplingResult {
            decision: SamplingDecision::RecordOnly,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

#[test]
fn the_sampler_of_the_code_decides() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let samplers: [Box<dyn ShouldSample>; 2] = [Sampler::AlwaysOff.into(), RecordOnly.into()];
    for sampler in samplers {
        let builder = Telemetry::builder("orders").sampler(sampler);
        let telemetry = builder.endpoint(&sink.url).build().unwrap();
        drop(telemetry.tracer_provider().tracer("test").start("work"));
        telemetry.shutdown().unwrap();
    }
    assert!(sink.spans().is_empty());
}

#[test]
fn an_endpoint_that_is_none_is_an_error_that_shows_no_password() {
    in_clean_env!();
    for endpoint in [
        "localhost:4318",
        "grpc://me:secret@collector:4317",
        "me:secret@collector:4318",
        "ftp://collector/?token=secret",
        "http://",
    ] {
        let error = Telemetry::builder("orders").endpoint(endpoint).build().unwrap_err();
        assert!(matches!(error, InitError::Endpoint { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("Builder::endpoint"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_without_tls_is_an_error_that_names_the_feature() {
    in_clean_env!();
    let error = Telemetry::builder("orders").endpoint("https://collector").build().unwrap_err();
    assert!(matches!(error, InitError::TlsNotBuiltIn { .. }), "{error:?}");
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

#[cfg(feature = "tls")]
#[test]
fn https_is_an_endpoint_with_tls() {
    in_clean_env!();
    let telemetry = Telemetry::builder("orders").endpoint("https://localhost:1").build().unwrap();
    telemetry.shutdown().unwrap();
}

#[test]
fn a_start_that_failed_may_be_tried_again() {
    run("init_again_after_an_error", &[]);
}

#[test]
fn a_propagator_of_the_service_stays_unless_the_environment_names_others() {
    run("propagators", &[]);
    run("propagators_of_the_environment", &[("OTEL_PROPAGATORS", "b3,baggage")]);
}

#[test]
fn an_error_event_sets_the_status_and_stays_what_it_is() {
    let sink = Sink::start(Answer::Ok);
    run("an_error_event", &[("CODE_ENDPOINT", &sink.url)]);
    let spans = sink.spans();
    assert_eq!(spans[0].status.as_ref().map(|status| status.code), Some(2), "{spans:?}");
    let event = &spans[0].events[0];
    assert_ne!(event.name, "exception");
    let exception = event.attributes.iter().find(|a| a.key.starts_with("exception"));
    assert!(exception.is_none(), "{event:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_of_the_exporter_ends_with_the_deadline() {
    run("the_thread_ends", &[]);
}
