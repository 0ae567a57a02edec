//! What is logged, and with which ids.

use std::io::Write;
use std::sync::{Arc, Mutex};

use throughline_core::baggage;
use throughline_telemetry::Logs;
use tracing_subscriber::layer::SubscriberExt;

use crate::child::{REMOTE_SPAN, REMOTE_TRACE, in_clean_env, run};
use crate::sink::{Answer, Sink};

#[test]
fn each_line_has_the_ids_of_its_context() {
    let sink = Sink::start(Answer::Ok);
    let output = run("service", &[("CODE_ENDPOINT", &sink.url)]);
    let spans = sink.spans();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ids = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        (hex(&span.trace_id), hex(&span.span_id))
    };
    let logged = |message: &str| {
        let line = output.line(message);
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        ((text("trace_id"), text("span_id")), text("trace_flags"))
    };

    let native = spans.iter().find(|span| span.name == "native").unwrap();
    assert_eq!(logged("in native"), (ids(native), "01".to_owned()));
    let own =
        spans.iter().find(|span| span.name == "instrumented" && span.parent_span_id.is_empty());
    assert_eq!(logged("in instrument"), (ids(own.unwrap()), "01".to_owned()));
    let remote = (REMOTE_TRACE.to_owned(), REMOTE_SPAN.to_owned());
    assert_eq!(logged("in unsampled"), (remote, "00".to_owned()));
    let child = spans.iter().find(|span| hex(&span.parent_span_id) == REMOTE_SPAN).unwrap();
    assert_eq!(logged("in instrument in remote"), (ids(child), "01".to_owned()));

    let outside = output.line("outside");
    for key in ["trace_id", "span_id", "trace_flags"] {
        assert!(outside.get(key).is_none(), "{outside}");
    }
}

#[test]
fn an_unsampled_parent_keeps_its_trace_in_the_logs() {
    let sink = Sink::start(Answer::Ok);
    let output = run("unsampled_parent", &[("CODE_ENDPOINT", &sink.url)]);
    let line = output.line("in instrument");
    assert_eq!(line["trace_id"], REMOTE_TRACE);
    assert_eq!(line["trace_flags"], "00");
    assert!(sink.heads().is_empty());
}

#[test]
fn the_parts_of_a_line() {
    let output = run("service", &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SERVICE_NAME", "env")]);
    let line = output.line("in instrument");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "it::child");
    assert_eq!(line["service.name"], "env");
    assert_eq!(line["fields"], serde_json::json!({ "total": 12.5 }));
    assert_eq!(line["spans"][0]["name"], "instrumented");
    assert_eq!(line["spans"][0]["fields"]["order"], 7);
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!(timestamp.find('T'), Some(10));
}

#[test]
fn rust_log_governs_the_log_and_not_the_spans() {
    let sink = Sink::start(Answer::Ok);
    let with = |level| run("service", &[("CODE_ENDPOINT", &sink.url), ("RUST_LOG", level)]);
    assert!(with("off").lines().is_empty());
    assert_eq!(sink.spans().len(), 3);
    let output = with("error");
    assert!(output.lines().is_empty());
    assert_eq!(sink.spans().len(), 6);
    assert!(with("debug").has_line_with("quiet"));
}

#[test]
fn a_bad_rust_log_is_a_warning() {
    let quiet = ("OTEL_TRACES_EXPORTER", "none");
    let output = run("service", &[quiet, ("RUST_LOG", "it=loud=debug")]);
    assert!(output.stderr.contains("RUST_LOG=\"it=loud=debug\" is ignored"), "{}", output.stderr);
    assert!(output.has_line_with("outside"));
    assert!(!output.has_line_with("quiet"));
}

#[test]
fn the_human_format_shows_ids_and_no_control_characters() {
    let output = run("human", &[("OTEL_TRACES_EXPORTER", "none")]);
    let line = output.stderr.lines().find(|line| line.contains("first")).unwrap();
    let risky = |c: char| c.is_control() || c == '\u{202e}';
    assert!(!line.contains(risky), "{line:?}");
    let shown = r#"INFO request{path="/a\u{1b}[31m"}: it::child: first\nsecond \u{1b}[2J\u{202e}"#;
    assert!(line.contains(shown), "{line}");
    assert!(line.contains(" text=\"two words\" trace_id="), "{line}");
    assert!(line.contains(" span_id=") && line.ends_with(" trace_flags=01"), "{line}");
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(logs: Logs, log: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = logs.writer(move || writer.clone()).layer();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn json_is_one_line_an_event_whatever_the_values_are() {
    in_clean_env!();
    let text = logged(Logs::json().service_name("a\"b"), || {
        let span = tracing::info_span!("s", late = tracing::field::Empty, path = "x\ny");
        let _entered = span.enter();
        span.record("late", "now");
        let error = std::io::Error::other("inner\u{1b}[0m");
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::error!(error, nan = f64::NAN, big = u128::MAX, yes = true, "a\r\n\"b\"\u{0}");
    });
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "a\r\n\"b\"\u{0}");
    assert_eq!(line["service.name"], "a\"b");
    assert_eq!(line["fields"]["error"], "inner\u{1b}[0m");
    assert_eq!(line["fields"]["nan"], "NaN");
    assert_eq!(line["fields"]["big"], u128::MAX.to_string());
    assert_eq!(line["fields"]["yes"], true);
    assert_eq!(line["spans"][0]["fields"], serde_json::json!({ "late": "now", "path": "x\ny" }));
}

#[test]
fn an_event_of_the_api_from_inside_its_stack_of_contexts_does_no_harm() {
    in_clean_env!();
    // With its feature `internal-logs` the API logs while the stack is borrowed; asking for the
    // current context then would panic. Other targets with a context do have ids.
    let text = logged(Logs::json(), || {
        use opentelemetry::trace::{SpanContext, TraceContextExt};
        let context =
            SpanContext::new(1.into(), 2.into(), Default::default(), true, Default::default());
        let _guard = opentelemetry::Context::new().with_remote_span_context(context).attach();
        tracing::warn!(target: "opentelemetry", "from inside");
        tracing::warn!(target: "orders", "from outside");
    });
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0].get("trace_id").is_none());
    assert_eq!(lines[1]["trace_id"], "00000000000000000000000000000001");
}

#[test]
fn named_members_of_baggage_are_on_each_line_and_no_others() {
    in_clean_env!();
    let log = || {
        tracing::info!("without");
        let _tenant = baggage::set("tenant", "a\u{1b}[0m\nb").unwrap().attach();
        let _secret = baggage::set("secret", "no").unwrap().attach();
        // Not in a trace, and not in a `tracing` span: baggage travels alone as well.
        tracing::info!(tenant = 7, "with");
    };
    let keys = ["tenant", "absent", "tenant"];
    let text = logged(Logs::json().baggage_keys(keys), log);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0].get("baggage").is_none(), "{text}");
    assert_eq!(lines[1]["baggage"], serde_json::json!({ "tenant": "a\u{1b}[0m\nb" }));
    assert_eq!(lines[1]["fields"], serde_json::json!({ "tenant": 7 }));

    let text = logged(Logs::human().baggage_keys(keys), log);
    assert!(text.ends_with(" with tenant=7 baggage.tenant=\"a\\u{1b}[0m\\nb\"\n"), "{text}");
    let text = logged(Logs::json(), log);
    assert!(!text.contains("baggage") && !text.contains("secret"), "{text}");
}

#[test]
fn what_spans_are_told_of_baggage_lines_are_told_too() {
    let sink = Sink::start(Answer::Ok);
    let output = run("baggage_keys", &[("CODE_ENDPOINT", &sink.url)]);
    let line = output.line("in native");
    assert_eq!(line["baggage"], serde_json::json!({ "tenant": "acme" }));
    let spans = sink.spans();
    let keys: Vec<_> = spans[0].attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["tenant"]);
}
