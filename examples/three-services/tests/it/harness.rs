//! What every test needs to run the demo.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use throughline_testing::embedded::Sqs;

pub(crate) fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_three-services"));
    // Whatever the environment of the tests says, these spans are judged here.
    for (name, _) in std::env::vars_os() {
        if ["OTEL_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env_remove("KAFKA_BROKERS").env_remove("SQS_ENDPOINT");
    command
}

/// The variables by which an SQS is found.
pub(crate) fn access(sqs: &Sqs) -> [(&'static str, &str); 4] {
    [
        ("SQS_ENDPOINT", sqs.endpoint()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ]
}

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn closing(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

#[track_caller]
pub(crate) fn run(args: &[&str]) -> Said {
    said(demo().args(args).output().expect("the demo starts"))
}

pub(crate) fn said(Output { status, stdout, stderr }: Output) -> Said {
    Said {
        code: status.code(),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// A file of this test's own.
pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[track_caller]
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// The traces of `--json` that orders were placed in, and those of the customers who waited, which are
/// linked to them; without those of the calls that fetch and settle messages.
pub(crate) fn traces(json: &Value) -> (Vec<&Value>, Vec<&Value>) {
    let all = json["traces"].as_array().expect("traces");
    let requests = all.iter().filter(|trace| trace["spans"][0]["kind"] == "server");
    requests.partition(|trace| trace["spans"][0].get("links").is_none())
}

/// Who is whose parent in a trace of `--json`, sorted.
pub(crate) fn edges(trace: &Value) -> Vec<String> {
    let spans = trace["spans"].as_array().expect("spans");
    let label = |span: &Value| {
        let part = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
        let error = if span["status"] == "error" { " failed" } else { "" };
        format!("{} {} {}{error}", part("service"), part("kind"), part("name"))
    };
    let mut edges: Vec<_> = spans
        .iter()
        .map(|span| {
            let parent = spans.iter().find(|other| other["span_id"] == span["parent_span_id"]);
            format!("{} > {}", parent.map_or_else(String::new, label), label(span))
        })
        .collect();
    edges.sort();
    edges
}
