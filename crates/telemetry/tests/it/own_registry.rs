//! The parts alone, subscribers of others, and the spans of libraries.
#![expect(clippy::disallowed_methods, reason = "a client and a server that know of no trace")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::global;
use opentelemetry::trace::{TraceFlags, Tracer, TracerProvider};
use throughline_telemetry::{Builder, Logs, SpanFilter, otel_layer};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Instrument, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::child::{REMOTE_SPAN, remote, run};
use crate::sink::{Answer, Sink};

/// In a child: a registry of its own, with a layer of its own.
pub(crate) fn service(builder: Builder) {
    let telemetry = builder.build().unwrap();
    assert!(!telemetry.subscriber_installed());
    let theirs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(LevelFilter::ERROR);
    let registry = tracing_subscriber::registry()
        .with(theirs)
        .with(otel_layer(
            telemetry.tracer_provider(),
            SpanFilter::default().level(LevelFilter::DEBUG),
        ))
        .with(Logs::json().layer());
    tracing::subscriber::set_global_default(registry).unwrap();
    drop(global::tracer("test").start("before the globals"));
    telemetry.set_globals();
    tracing::debug_span!("debug").in_scope(|| tracing::info!("in debug"));
    {
        let _guard = remote(TraceFlags::SAMPLED).attach();
        tracing::debug_span!("in remote").in_scope(|| tracing::info!("in remote"));
    }
    tracing::trace_span!("trace").in_scope(|| tracing::error!("theirs and ours"));
    drop(global::tracer("test").start("native"));
    telemetry.shutdown().unwrap();
}

#[test]
fn the_parts_work_in_a_registry_of_ones_own() {
    let sink = Sink::start(Answer::Ok);
    let output = run("own_registry", &[("CODE_ENDPOINT", &sink.url), ("RUST_LOG", "info")]);
    assert_eq!(sink.names(), ["debug", "in remote", "native"]);
    assert!(output.line("in debug")["trace_id"].is_string());
    assert!(output.stderr.contains("theirs and ours") && !output.stderr.contains("in debug"));
    let scopes = sink.scopes();
    let ours = scopes.iter().find(|(name, _)| name == "throughline-telemetry").unwrap();
    assert!(ours.1.contains("opentelemetry.io/schemas"), "{ours:?}");
}

#[test]
fn a_disabled_sdk_leaves_the_remote_parent_to_a_registry_of_ones_own() {
    let output = run("own_registry", &[("OTEL_SDK_DISABLED", "true"), ("RUST_LOG", "info")]);
    assert_eq!(output.line("in remote")["span_id"], REMOTE_SPAN);
    assert!(output.line("in debug")["trace_id"].is_null());
}

#[test]
fn a_subscriber_that_was_there_stays_and_traces_still_work() {
    let sink = Sink::start(Answer::Ok);
    let output = run("foreign_subscriber", &[("CODE_ENDPOINT", &sink.url)]);
    assert_eq!(sink.names(), ["native"]);
    assert!(output.stderr.contains("still theirs"));
    assert!(output.stderr.contains("otel_layer("), "{}", output.stderr);
}

/// In a child: a layer of others, with the setting that the parent says.
pub(crate) fn foreign_layer(builder: Builder) {
    let telemetry = builder.build().unwrap();
    let setting = std::env::var("ACTIVATION").unwrap();
    let layer = (setting != "none").then(|| {
        tracing_opentelemetry::layer()
            .with_tracer(telemetry.tracer_provider().tracer("theirs"))
            .with_context_activation(setting == "on")
    });
    let muted = (setting == "muted").then_some(LevelFilter::OFF);
    let registry = tracing_subscriber::registry()
        .with(layer.with_filter(muted.unwrap_or(LevelFilter::TRACE)))
        .with(Logs::json().layer());
    tracing::subscriber::set_global_default(registry).unwrap();
    tracing::info_span!("main").in_scope(|| telemetry.set_globals());
    telemetry.shutdown().unwrap();
}

#[test]
fn a_layer_whose_activation_is_off_is_warned_of() {
    for (setting, is_warned_of) in [("off", true), ("on", false), ("none", false), ("muted", false)]
    {
        let sink = Sink::start(Answer::Ok);
        let env = [("CODE_ENDPOINT", sink.url.as_str()), ("ACTIVATION", setting)];
        let output = run("foreign_layer", &env);
        let warned = output.has_line_with("context activation off");
        assert_eq!(warned, is_warned_of, "{setting}: {}", output.stdout);
        // It is found out without a span of ours.
        let theirs: &[&str] = if matches!(setting, "off" | "on") { &["main"] } else { &[] };
        assert_eq!(sink.names(), theirs, "{setting}");
    }
    // Ours has it on.
    let output = run("own_registry", &[("OTEL_TRACES_EXPORTER", "none"), ("RUST_LOG", "info")]);
    assert!(!output.has_line_with("context activation"), "{}", output.stdout);
}

/// In a child: a real call over HTTP/2, whose crates make spans at `RUST_LOG=trace`.
pub(crate) fn library_calls(builder: Builder) {
    let spans = SpanFilter::default().level(LevelFilter::TRACE);
    let telemetry = builder.spans(spans).init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = serve_http2().await;
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let call = client.get(format!("http://{address}/")).send();
        let response = call.instrument(tracing::info_span!("request")).await.unwrap();
        assert_eq!(response.status(), 200);
    });
    drop(tracing::info_span!(target: "hyper::proto::h1", "library").entered());
    drop(tracing::info_span!(target: "reqwest::connect", "library").entered());
    drop(tracing::info_span!(target: "tokio::task", "library").entered());
    drop(tracing::info_span!(target: "tonic::transport", "library").entered());
    drop(tracing::info_span!(target: "tower::buffer::worker", "library").entered());
    drop(tracing::info_span!(target: "hyper_util::client", "library").entered());
    drop(tracing::error_span!(target: "tower_http::trace", "library").entered());
    drop(tracing::info_span!(target: "aws_smithy_runtime::client", "library").entered());
    drop(tracing::info_span!(target: "aws_sdk_sqs::operation", "library").entered());
    drop(tracing::info_span!(target: "runtime.spawn", "library").entered());
    drop(tracing::info_span!(target: "opentelemetry_sdk", "library").entered());
    // Names that only begin alike are the application's.
    drop(tracing::trace_span!(target: "tower_of_orders::main", "tower_of_orders").entered());
    telemetry.shutdown().unwrap();
}

pub(crate) async fn serve_http2() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|_| async {
                Ok::<_, Infallible>(hyper::Response::new(Full::<hyper::body::Bytes>::default()))
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            // It fails where the client speaks HTTP/1.
            tokio::spawn(connection);
        }
    });
    address
}

#[test]
fn spans_of_libraries_are_not_exported_whatever_rust_log_says() {
    let sink = Sink::start(Answer::Ok);
    let output = run("libraries", &[("CODE_ENDPOINT", &sink.url), ("RUST_LOG", "trace")]);
    assert_eq!(sink.names(), ["request", "tower_of_orders"]);
    // They were made: the log shows events inside them.
    let lines = output.lines();
    let of_h2 = lines.iter().filter(|line| line["target"].as_str().unwrap().starts_with("h2::"));
    let in_spans = of_h2.filter(|line| !line["spans"].is_null()).count();
    assert!(in_spans > 0, "h2 made no spans: this test shows nothing");
}

/// Makes a span whenever the exporter's HTTP client does something, as a traced client would.
struct TracedClient;

static SEEN: AtomicU32 = AtomicU32::new(0);

impl<S: Subscriber> Layer<S> for TracedClient {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let on_export = std::thread::current().name() == Some("throughline-export");
        if on_export && event.metadata().target().starts_with("hyper_util") {
            SEEN.fetch_add(1, Ordering::Relaxed);
            drop(global::tracer("http").start("export of an export"));
        }
    }
}

/// In a child: two exports, of which the second would send the spans of the first.
pub(crate) fn traced_exporter(builder: Builder) {
    let telemetry = builder.build().unwrap();
    let registry = tracing_subscriber::registry().with(TracedClient);
    tracing::subscriber::set_global_default(registry).unwrap();
    telemetry.set_globals();
    drop(global::tracer("test").start("work"));
    telemetry.tracer_provider().force_flush().unwrap();
    assert!(SEEN.load(Ordering::Relaxed) > 0, "the client told nothing: this test shows nothing");
    telemetry.shutdown().unwrap();
}

#[test]
fn the_exporters_own_requests_are_not_traced() {
    let sink = Sink::start(Answer::Ok);
    run("traced_exporter", &[("CODE_ENDPOINT", &sink.url)]);
    assert_eq!(sink.names(), ["work"]);
}

/// Reads the ids of the span of `tracing` that is current, as many do: that locks it.
struct Asks;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Asks {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        drop(tracing::Span::current().context());
    }
}

/// In a child: roots that have lost their parent, under a layer that asks for the ids.
pub(crate) fn a_layer_that_asks(builder: Builder) {
    #[expect(clippy::disallowed_methods, reason = "it ends a test that would hang")]
    std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_secs(30));
        eprintln!("it hangs");
        std::process::exit(3);
    });
    let telemetry = builder.build().unwrap();
    let layer = otel_layer(telemetry.tracer_provider(), SpanFilter::default());
    let registry = tracing_subscriber::registry().with(layer).with(Asks).with(Logs::json().layer());
    tracing::subscriber::set_global_default(registry).unwrap();
    telemetry.set_globals();
    let outer = tracing::info_span!("process-async");
    outer.in_scope(|| tracing::info!("within"));
    drop(outer);
    drop(tracing::info_span!("process-async", again = true));
    telemetry.shutdown().unwrap();
}

#[test]
fn who_logs_his_own_modules_is_told_of_a_trace_in_pieces() {
    for (level, is_told) in [("it=info", true), ("off", false), ("it=info,throughline=off", false)]
    {
        let env = [("OTEL_TRACES_EXPORTER", "none"), ("RUST_LOG", level)];
        let output = run("a_layer_that_asks", &env);
        assert_eq!(output.has_line_with("has lost its parent"), is_told, "{level}");
    }
}

#[test]
fn the_guard_holds_no_lock_that_a_layer_of_the_log_wants() {
    for env in [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ] {
        let sink = Sink::start(Answer::Ok);
        let output = run("a_layer_that_asks", &[("CODE_ENDPOINT", &sink.url), env]);
        assert!(output.has_line_with("has lost its parent"), "{env:?}: {}", output.stdout);
        let is_told = output.has_line_with("made by \"it::own_registry\" in trace");
        assert_eq!(is_told, env.1 == "always_on", "{env:?}: {}", output.stdout);
    }
}
