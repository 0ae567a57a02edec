//! What runs in a process of its own, as a service would.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer,
};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::Sampler;
use serde_json::Value;
use throughline_telemetry::{Builder, Logs, Telemetry};

use crate::sink::{Answer, Sink};

pub(crate) const REMOTE_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const REMOTE_SPAN: &str = "b7ad6b7169203331";
const MARK: &str = "THROUGHLINE_TEST_CHILD";

/// What a child left behind.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn lines(&self) -> Vec<Value> {
        // The test harness may have begun a line of its own.
        let objects = self.stdout.lines().filter_map(|line| line.find('{').map(|at| &line[at..]));
        objects.map(|text| serde_json::from_str(text).expect(text)).collect()
    }

    /// The one line with `message`.
    pub(crate) fn line(&self, message: &str) -> Value {
        let mut found = self.lines().into_iter().filter(|line| line["message"] == message);
        let line = found.next().unwrap_or_else(|| panic!("no {message:?} in\n{}", self.stdout));
        assert!(found.next().is_none(), "{message:?} twice");
        line
    }

    pub(crate) fn has_line_with(&self, part: &str) -> bool {
        let lines = self.lines();
        lines.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains(part)))
    }
}

/// What the crate, its HTTP client and the log read.
fn is_read(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name.starts_with("OTEL_") || name == "RUST_LOG" || name.ends_with("_PROXY")
}

/// This binary with one test, and with nothing of our environment that it would read.
fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--include-ignored", "--nocapture"]).env(MARK, "1");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_read(name)) {
        command.env_remove(name);
    }
    command
}

fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let output = Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(output.stdout.contains("1 passed"), "{}\n{}", output.stdout, output.stderr);
    output
}

/// Runs a test of this file in a child.
pub(crate) fn run(scenario: &str, env: &[(&str, &str)]) -> Output {
    let mut command = command(&format!("child::{scenario}"));
    command.envs(env.iter().copied());
    finish(command)
}

/// Runs the test in a child, if it would read our environment; whether it did. `here` is the type
/// name of an item in the test.
pub(crate) fn ran_clean(here: &str) -> bool {
    let dirty = !is_child() && std::env::vars_os().any(|(name, _)| is_read(&name));
    if dirty {
        let (_crate, path) = here.split_once("::").unwrap();
        finish(command(path.strip_suffix("::here").unwrap()));
    }
    dirty
}

/// To begin a test with that reads the environment in this process.
macro_rules! in_clean_env {
    () => {
        fn here() {}
        if crate::child::ran_clean(std::any::type_name_of_val(&here)) {
            return;
        }
    };
}
pub(crate) use in_clean_env;

/// In a child with variables that would fail it, unless it makes itself another without them.
/// A span that is a root by right.
fn work<T: Tracer>(tracer: &T) -> T::Span {
    tracer.build(SpanBuilder::from_name("work").with_kind(SpanKind::Server))
}

#[test]
fn the_environment_of_a_developer_fails_no_test() {
    for test in [
        "export::arrives_without_a_runtime",
        "export::a_sink_that_answers_no_is_told_at_shutdown",
        "start::the_resource_says_who_where_and_which",
        "logs::json_is_one_line_an_event_whatever_the_values_are",
        "logs::rust_log_governs_the_log_and_not_the_spans",
    ] {
        let mut command = command(test);
        command.env_remove(MARK).envs([
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_SERVICE_NAME", "theirs"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("http_proxy", "http://127.0.0.1:1"),
            ("RUST_LOG", "off"),
        ]);
        finish(command);
    }
}

fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// A builder with an endpoint from the code, where the parent gives one.
fn builder() -> Builder {
    let builder = Telemetry::builder("code").service_version("code");
    match std::env::var("CODE_ENDPOINT") {
        Ok(endpoint) => builder.endpoint(endpoint),
        Err(_) => builder,
    }
}

pub(crate) fn remote(flags: TraceFlags) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_hex(REMOTE_TRACE).unwrap(),
        SpanId::from_hex(REMOTE_SPAN).unwrap(),
        flags,
        true,
        TraceState::default(),
    ))
}

#[tracing::instrument]
fn instrumented(message: &str, order: u32) {
    tracing::info!(total = 12.5, "{message}");
}

#[test]
#[ignore = "run in a child"]
fn service() {
    if !is_child() {
        return;
    }
    let telemetry = builder().sampler(Sampler::AlwaysOn).init().unwrap();
    instrumented("in instrument", 7);
    let tracer = global::tracer("test");
    tracer.in_span("native", |_| tracing::info!("in native"));
    {
        let _guard = remote(TraceFlags::default()).attach();
        tracing::info!("in unsampled");
    }
    {
        let _guard = remote(TraceFlags::SAMPLED).attach();
        instrumented("in instrument in remote", 8);
    }
    tracing::info!("outside");
    tracing::debug!("quiet");
    if let Err(error) = telemetry.shutdown() {
        eprintln!("shutdown: {error}");
    }
}

#[test]
#[ignore = "run in a child"]
fn baggage_keys() {
    if !is_child() {
        return;
    }
    let _telemetry = builder().baggage_keys(["tenant"]).init().unwrap();
    let _tenant = throughline_core::baggage::set("tenant", "acme").unwrap().attach();
    let _secret = throughline_core::baggage::set("secret", "no").unwrap().attach();
    global::tracer("test").in_span("native", |_| tracing::info!("in native"));
}

#[test]
#[ignore = "run in a child"]
fn a_layer_that_asks() {
    if !is_child() {
        return;
    }
    crate::own_registry::a_layer_that_asks(builder());
}

#[test]
#[ignore = "run in a child"]
fn unsampled_parent() {
    if !is_child() {
        return;
    }
    let _telemetry = builder().init().unwrap();
    let _guard = remote(TraceFlags::default()).attach();
    instrumented("in instrument", 7);
}

#[test]
#[ignore = "run in a child"]
fn init_fails() {
    if !is_child() {
        return;
    }
    eprintln!("error: {}", builder().init().unwrap_err());
    // It left nothing behind: only the variables are wrong.
    assert!(!tracing::dispatcher::has_been_set());
}

#[test]
#[ignore = "run in a child"]
fn init_twice() {
    if !is_child() {
        return;
    }
    let _telemetry = builder().init().unwrap();
    eprintln!("error: {}", throughline_telemetry::init("orders").unwrap_err());
}

#[test]
#[ignore = "run in a child"]
fn init_again_after_an_error() {
    if !is_child() {
        return;
    }
    builder().endpoint("nowhere").init().unwrap_err();
    builder().init().unwrap().shutdown().unwrap();
}

/// Carries nothing, and is known by its field.
#[derive(Debug)]
struct Theirs;

impl TextMapPropagator for Theirs {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        cx.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["theirs".to_owned()]);
        FieldIter::new(&FIELDS)
    }
}

#[test]
#[ignore = "run in a child"]
fn propagators() {
    if !is_child() {
        return;
    }
    let fields = || {
        global::get_text_map_propagator(|set| {
            set.fields().map(ToOwned::to_owned).collect::<Vec<_>>()
        })
    };
    let telemetry = builder().build().unwrap();
    telemetry.set_globals();
    assert!(fields().contains(&"traceparent".to_owned()), "{:?}", fields());
    global::set_text_map_propagator(Theirs);
    telemetry.set_globals();
    assert_eq!(fields(), ["theirs"]);
}

#[test]
#[ignore = "run in a child"]
fn propagators_of_the_environment() {
    if !is_child() {
        return;
    }
    global::set_text_map_propagator(Theirs);
    builder().build().unwrap().set_globals();
    global::get_text_map_propagator(|set| {
        assert_eq!(set.fields().collect::<Vec<_>>(), ["b3", "baggage"]);
    });
}

#[test]
#[ignore = "run in a child"]
fn an_error_event() {
    if !is_child() {
        return;
    }
    let telemetry = builder().init().unwrap();
    tracing::info_span!("work").in_scope(|| tracing::error!(error = "disk full"));
    telemetry.shutdown().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run in a child"]
fn the_thread_ends() {
    if !is_child() {
        return;
    }
    let running = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        // The system keeps fifteen characters.
        names.filter(|name| name.trim() == "throughline-exp").count()
    };
    let sink = Sink::start(Answer::Never);
    let builder = builder().shutdown_timeout(Duration::from_millis(100));
    let telemetry = builder.endpoint(&sink.url).init().unwrap();
    drop(work(&global::tracer("test")));
    // It gives itself its name once it runs.
    let start = Instant::now();
    while running() != 1 {
        assert!(start.elapsed() < Duration::from_secs(6), "it doesn't begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    telemetry.shutdown().unwrap_err();
    // The export itself would go on for ten seconds.
    let start = Instant::now();
    while running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(6), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "run in a child"]
fn drop_over_a_sink_that_hangs() {
    if !is_child() {
        return;
    }
    let telemetry = builder().shutdown_timeout(Duration::from_millis(200)).init().unwrap();
    instrumented("work", 7);
    drop(telemetry);
}

#[test]
#[ignore = "run in a child"]
fn many_spans() {
    if !is_child() {
        return;
    }
    let telemetry = builder().shutdown_timeout(Duration::from_secs(3)).init().unwrap();
    let tracer = global::tracer("test");
    for _ in 0..10 {
        drop(work(&tracer));
    }
    if let Err(error) = telemetry.shutdown() {
        eprintln!("shutdown: {error}");
    }
}

#[test]
#[ignore = "run in a child"]
fn outage() {
    if !is_child() {
        return;
    }
    let telemetry = builder().init().unwrap();
    for _ in 0..2 {
        drop(work(&global::tracer("test")));
        telemetry.tracer_provider().force_flush().unwrap_err();
    }
    eprintln!("shutdown: {}", telemetry.shutdown().unwrap_err());
}

#[test]
#[ignore = "run in a child"]
fn flood() {
    if !is_child() {
        return;
    }
    let telemetry = builder().init().unwrap();
    let tracer = global::tracer("test");
    for _ in 0..2 {
        for _ in 0..1000 {
            drop(work(&tracer));
        }
        telemetry.tracer_provider().force_flush().unwrap();
    }
    if let Err(error) = telemetry.shutdown() {
        eprintln!("shutdown: {error}");
    }
}

#[test]
#[ignore = "run in a child"]
fn scheduled() {
    if !is_child() {
        return;
    }
    let sink = Sink::start(Answer::Ok);
    let telemetry = builder().endpoint(&sink.url).init().unwrap();
    let start = Instant::now();
    drop(work(&global::tracer("test")));
    sink.wait_for(1);
    eprintln!("after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(4), "that was the default of 5 s");
    telemetry.shutdown().unwrap();
}

#[test]
#[ignore = "run in a child"]
fn human() {
    if !is_child() {
        return;
    }
    let logs = Logs::human().writer(std::io::stderr);
    let _telemetry = builder().logs(logs).init().unwrap();
    let span = tracing::info_span!("request", path = %"/a\u{1b}[31m");
    let _entered = span.enter();
    tracing::info!(text = "two words", "first\nsecond \u{1b}[2J\u{202e}");
}

#[test]
#[ignore = "run in a child"]
fn foreign_subscriber() {
    if !is_child() {
        return;
    }
    let own = tracing_subscriber::fmt().with_writer(std::io::stderr).finish();
    tracing::subscriber::set_global_default(own).unwrap();
    let telemetry = builder().init().unwrap();
    assert!(!telemetry.subscriber_installed());
    global::tracer("test").in_span("native", |_| tracing::info!("still theirs"));
}

#[test]
#[ignore = "run in a child"]
fn foreign_layer() {
    if is_child() {
        crate::own_registry::foreign_layer(builder());
    }
}

#[test]
#[ignore = "run in a child"]
fn libraries() {
    if is_child() {
        crate::own_registry::library_calls(builder());
    }
}

#[test]
#[ignore = "run in a child"]
fn traced_exporter() {
    if is_child() {
        crate::own_registry::traced_exporter(builder());
    }
}

#[test]
#[ignore = "run in a child"]
fn own_registry() {
    if is_child() {
        crate::own_registry::service(builder());
    }
}
