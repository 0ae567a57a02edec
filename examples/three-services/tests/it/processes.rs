//! Processes of one run, found by a mark in their environment.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::{Said, assert_contains, demo, said};

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
