//! The demo as its users run it: real processes, real sockets, and what it says of them.

#![allow(clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_three-services"));
    // Whatever the environment of the tests says, these spans are judged here.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
    command
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn closing(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

#[track_caller]
fn run(args: &[&str]) -> Said {
    said(demo().args(args).output().expect("the demo starts"))
}

fn said(Output { status, stdout, stderr }: Output) -> Said {
    Said {
        code: status.code(),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// A file of this test's own.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn an_order_is_one_trace() {
    let demo = run(&[]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert!(
        demo.closing().starts_with("PASS  3 orders in 3 traces, 30 spans, 3 services, 0 orphans"),
        "{}",
        demo.out
    );
    assert_contains(&demo.out, &["POST /orders/{id}/state", "◀ slowest"]);
}

/// The tree of an order: who is whose parent. Of what runs at the same time, nobody knows which
/// starts first.
#[test]
fn an_order_is_this_tree() {
    let demo = run(&["--json", "--orders", "1"]);
    let json: serde_json::Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!(json["passed"], true, "{}", demo.out);
    assert_eq!(json["orders"], 1);
    let spans = json["traces"][0]["spans"].as_array().expect("spans");
    let label = |span: &serde_json::Value| {
        let part = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", part("service"), part("kind"), part("name"))
    };
    let mut edges: Vec<_> = spans
        .iter()
        .map(|span| {
            let parent = spans.iter().find(|other| other["span_id"] == span["parent_span_id"]);
            format!("{} > {}", parent.map_or_else(String::new, label), label(span))
        })
        .collect();
    edges.sort();
    assert_eq!(
        edges,
        [
            " > gateway server POST /orders",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment server POST /shipments > fulfilment client POST",
            "fulfilment server POST /shipments > fulfilment internal pack",
            "gateway client POST > orders server POST /orders",
            "gateway server POST /orders > gateway client POST",
            "orders client POST > fulfilment server POST /shipments",
            "orders server POST /orders > orders client POST",
            "orders server POST /orders > orders internal audit",
            "orders server POST /orders > orders internal reserve",
        ]
    );
}

#[test]
fn many_orders_at_once_are_as_many_traces() {
    let demo = run(&["--orders", "200", "--concurrency", "20", "--trees", "0"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    let closing = "PASS  200 orders in 200 traces, 2000 spans, 3 services, 0 orphans";
    assert!(demo.closing().starts_with(closing), "{}", demo.out);
}

#[test]
fn a_raw_http_call_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "http"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  http broken at `POST /orders` of orders (3 times",
            "use throughline::reqwest::ClientMiddleware",
            "3 of 3 orders in pieces",
            // Only the raw call's own span is missing.
            "27 spans",
        ],
    );
}

#[test]
fn a_raw_spawn_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "spawn"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  task broken at `audit` of orders (3 times",
            "use throughline::task::spawn",
            "3 of 3 orders in pieces",
            "30 spans",
        ],
    );
}

#[test]
fn the_verdict_is_the_same_elsewhere_and_knows_no_names() {
    for (leg, class) in [(None, None), (Some("http"), Some("http")), (Some("spawn"), Some("task"))]
    {
        let path = file(&format!("spans-{}.jsonl", leg.unwrap_or("none")));
        let path = path.to_str().expect("UTF-8");
        let mut args = vec!["--spans", path];
        args.extend(leg.iter().flat_map(|leg| ["--break", leg]));
        let here = run(&args);
        let there = run(&["verdict", "--spans", path]);
        assert_eq!((there.code, there.closing()), (here.code, here.closing()));

        // Other services, other routes, another task: the same classes.
        let renamed = file(&format!("renamed-{}.jsonl", leg.unwrap_or("none")));
        let text = std::fs::read_to_string(path).expect("the spans were kept");
        let text = text
            .replace("\"gateway\"", "\"portal\"")
            .replace("\"orders\"", "\"till\"")
            .replace("\"fulfilment\"", "\"store\"")
            .replace("/orders", "/purchases")
            .replace("/shipments", "/parcels")
            .replace("\"audit\"", "\"ledger\"");
        std::fs::write(&renamed, text).expect("written");
        let renamed = run(&["verdict", "--spans", renamed.to_str().expect("UTF-8")]);
        assert_eq!(renamed.code, here.code);
        match class {
            None => assert!(renamed.closing().starts_with("PASS  3 orders in 3 traces")),
            Some(class) => {
                let place = match class {
                    "http" => "`POST /purchases` of till",
                    _ => "`ledger` of till",
                };
                let expected = format!("FAIL  {class} broken at {place} (3 times");
                assert!(renamed.closing().starts_with(&expected), "{}", renamed.out);
            }
        }
    }
}

#[test]
fn every_break_stands_in_one_table() {
    let demo = run(&["--break", "all", "--orders", "2"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(
        &demo.out,
        &[
            "throughline::reqwest::ClientMiddleware",
            "throughline::task::spawn",
            "4 traces, 2 orphans",
            "2 traces, 0 orphans",
        ],
    );
    assert!(demo.closing().starts_with("PASS"), "{}", demo.out);
}

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
fn what_cannot_be_read_is_told_in_a_sentence() {
    let missing = run(&["verdict", "--spans", "/no/such/file"]);
    assert_eq!(missing.code, Some(1));
    assert_contains(&missing.err, &["cannot read spans from /no/such/file"]);

    let path = file("empty.jsonl");
    std::fs::write(&path, "").expect("written");
    let empty = run(&["verdict", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(empty.code, Some(1));
    assert!(empty.closing().starts_with("FAIL  no span tells of an order"), "{}", empty.out);
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

#[test]
fn a_reader_who_has_seen_enough_changes_no_verdict() {
    let mut demo = demo()
        .args(["--break", "http", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the demo starts");
    drop(demo.stdout.take());
    assert_eq!(demo.wait().expect("the demo ends").code(), Some(1));
}

#[test]
fn an_order_in_two_whole_traces_is_in_pieces() {
    let path = file("twice.jsonl");
    let kept = run(&["--orders", "1", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(kept.code, Some(0), "{}{}", kept.out, kept.err);
    let once = std::fs::read_to_string(&path).expect("the spans were kept");
    let id = once.split("\"traceId\":\"").nth(1).expect("a span").get(..32).expect("an id");
    let again = once.replace(id, "0123456789abcdef0123456789abcdef");
    std::fs::write(&path, format!("{once}{again}")).expect("written");
    let twice = run(&["verdict", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(twice.code, Some(1));
    assert_contains(twice.closing(), &["FAIL  order order-1 is spread over 2 traces"]);
}

/// Processes of one run, found by a mark in their environment.
#[cfg(target_os = "linux")]
mod processes {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process, kill_process_group};

    const MARK: &str = "THREE_SERVICES_TEST_RUN";

    struct Run {
        mark: String,
        demo: std::process::Child,
    }

    impl Run {
        /// A run that doesn't end by itself any time soon.
        fn start(name: &str) -> Self {
            let mark = format!("{name}-{}", std::process::id());
            let demo = demo()
                .args(["--orders", "100000", "--trees", "0"])
                .env(MARK, &mark)
                .stdin(Stdio::null())
                // As a shell starts it: in the foreground's process group.
                .process_group(0)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the demo starts");
            Run { mark, demo }
        }

        /// The services that run, by name.
        fn services(&self) -> Vec<(String, Pid)> {
            let mark = format!("{MARK}={}", self.mark);
            let processes = std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| {
                let path = entry.ok()?.path();
                let pid = path.file_name()?.to_str()?.parse().ok()?;
                let environment = std::fs::read(path.join("environ")).ok()?;
                let is_ours = environment.split(|b| *b == 0).any(|var| var == mark.as_bytes());
                let command = std::fs::read_to_string(path.join("cmdline")).ok()?;
                let name = command.split('\0').nth(1)?.to_owned();
                let is_service = ["gateway", "orders", "fulfilment"].contains(&name.as_str());
                (is_ours && is_service).then_some((name, Pid::from_raw(pid)?))
            });
            processes.collect()
        }

        #[track_caller]
        fn wait_until(&self, what: &str, is_so: impl Fn(&[(String, Pid)]) -> bool) {
            let deadline = Instant::now() + Duration::from_secs(30);
            while !is_so(&self.services()) {
                assert!(Instant::now() < deadline, "{what}: {:?}", self.services());
                std::thread::sleep(Duration::from_millis(20));
            }
        }

        fn wait_until_started(&self) {
            self.wait_until("three services start", |services| services.len() == 3);
        }

        fn end(self) -> (Said, String) {
            let Run { mark, demo } = self;
            let said = said(demo.wait_with_output().expect("the demo ends"));
            (said, mark)
        }
    }

    fn pid(process: &std::process::Child) -> Pid {
        let id = i32::try_from(process.id()).expect("a process id");
        Pid::from_raw(id).expect("a process id")
    }

    #[track_caller]
    fn assert_nobody_left(mark: String) {
        // A stand-in, to look for the services of a run that is over.
        let demo = Command::new("true").spawn().expect("`true` starts");
        let run = Run { mark, demo };
        run.wait_until("nobody is left", <[_]>::is_empty);
        run.end();
    }

    #[test]
    fn a_killed_service_is_named_and_nobody_is_left() {
        let run = Run::start("killed");
        run.wait_until_started();
        let services = run.services();
        let (_, orders) = services.iter().find(|(name, _)| name == "orders").expect("runs");
        kill_process(*orders, Signal::KILL).expect("it runs");
        let (said, mark) = run.end();
        assert_eq!(said.code, Some(1));
        assert_contains(&said.err, &["orders stopped", "SIGKILL"]);
        assert_nobody_left(mark);
    }

    #[test]
    fn ctrl_c_is_told_and_nobody_is_left() {
        let run = Run::start("interrupted");
        run.wait_until_started();
        // A terminal sends it to the whole group.
        kill_process_group(pid(&run.demo), Signal::INT).expect("it runs");
        let (said, mark) = run.end();
        assert_eq!(said.code, Some(130), "{}", said.err);
        assert_contains(&said.err, &["interrupted: the three services were stopped"]);
        assert_nobody_left(mark);
    }

    #[test]
    fn not_even_a_killed_demo_leaves_anybody() {
        let mut run = Run::start("orphaned");
        run.wait_until_started();
        run.demo.kill().expect("it runs");
        let (_, mark) = run.end();
        assert_nobody_left(mark);
    }
}
