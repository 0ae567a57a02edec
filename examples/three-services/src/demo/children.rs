//! The three services as processes: started, watched, stopped.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::access::Access;
use crate::cli::Leg;
use crate::error::Error;
use crate::services::{BROKERS, LISTENING};

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(15);

/// How many complaints of a service are kept, to be shown if it fails.
const KEPT_LINES: usize = 8;

/// Where the services send their spans.
pub(crate) enum Sink {
    /// To this endpoint of ours.
    Here(String),
    /// Where the environment says.
    Elsewhere,
}

/// What the services are to run with.
pub(crate) struct Setup<'a> {
    pub(crate) sink: &'a Sink,
    /// Where Kafka is.
    pub(crate) brokers: &'a str,
    pub(crate) sqs: &'a Access,
    pub(crate) broken: Option<Leg>,
    pub(crate) fail_once: bool,
    pub(crate) poison: bool,
    pub(crate) show_logs: bool,
}

pub(crate) struct Children<'a> {
    setup: Setup<'a>,
    executable: std::path::PathBuf,
    running: Vec<Service>,
}

struct Service {
    name: &'static str,
    process: Child,
    /// Closed when the demo ends, however it ends: then the service stops.
    _stdin: Option<ChildStdin>,
    log: Arc<Mutex<VecDeque<String>>>,
    /// Who reads its output; they end when it does.
    readers: Vec<JoinHandle<()>>,
}

/// What a service says of itself once it listens.
struct Listening {
    url: String,
    reader: JoinHandle<()>,
}

impl<'a> Children<'a> {
    pub(crate) fn new(setup: Setup<'a>) -> Result<Self, Error> {
        let executable = std::env::current_exe().map_err(Error::Start)?;
        Ok(Children { setup, executable, running: Vec::new() })
    }

    /// Starts the three, the last one to be called first; the address of the first.
    pub(crate) async fn start(&mut self, port: u16) -> Result<String, Error> {
        let Setup { fail_once, poison, .. } = self.setup;
        let mut failures = Vec::new();
        failures.extend(fail_once.then_some("--fail-once"));
        failures.extend(poison.then_some("--poison"));
        let fulfilment = self.start_one("fulfilment", 0, &failures).await?;
        let orders = self.start_one("orders", 0, &["--fulfilment", &fulfilment]).await?;
        let gateway = self.start_one("gateway", port, &["--orders", &orders]).await?;
        Ok(gateway)
    }

    async fn start_one(
        &mut self,
        name: &'static str,
        port: u16,
        args: &[&str],
    ) -> Result<String, Error> {
        let mut command = Command::new(&self.executable);
        command.arg(name).args(["--port", &port.to_string(), "--stop-with-stdin"]).args(args);
        if let Some(leg) = self.setup.broken {
            command.args(["--break", &leg.to_string()]);
        }
        let show_logs = self.setup.show_logs;
        if let Sink::Here(endpoint) = self.setup.sink {
            // What the user's environment says of exporters and samplers is meant for his own.
            for (variable, _) in std::env::vars_os() {
                if variable.to_string_lossy().starts_with("OTEL_") {
                    command.env_remove(variable);
                }
            }
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            command.env("NO_PROXY", "127.0.0.1");
        }
        command.env("OTEL_SERVICE_NAME", name);
        command.env(BROKERS, self.setup.brokers);
        // The user's keys, too, are for an SQS of his own.
        for (variable, value) in self.setup.sqs.variables() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C is for the demo, which stops them in order.
        command.process_group(0).kill_on_drop(true);
        let mut process = command.spawn().map_err(Error::Start)?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let stdin = process.stdin.take();
        let mut readers = Vec::new();
        if let Some(stderr) = stderr {
            let keep = keep(BufReader::new(stderr), Arc::clone(&log), show_logs);
            #[expect(clippy::disallowed_methods, reason = "the demo itself is of no trace")]
            readers.push(tokio::spawn(keep));
        }
        let listening = listening(stdout, Arc::clone(&log), show_logs);
        self.running.push(Service { name, process, _stdin: stdin, log, readers });
        match timeout(START, listening).await {
            Ok(Some(Listening { url, reader })) => {
                if let Some(service) = self.running.last_mut() {
                    service.readers.push(reader);
                }
                Ok(url)
            }
            Ok(None) => Err(self.not_started(name).await),
            Err(_) => {
                let said = self.running.last().map(Service::said).unwrap_or_default();
                Err(Error::NotReady { service: name, seconds: START.as_secs(), said })
            }
        }
    }

    async fn not_started(&mut self, name: &'static str) -> Error {
        let Some(service) = self.running.last_mut() else {
            return Error::NotStarted { service: name, how: String::new(), said: String::new() };
        };
        let ended = service.process.wait().await;
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        service.hear_out().await;
        Error::NotStarted { service: name, how, said: service.said() }
    }

    /// Waits until one of the services is gone although nobody asked it to.
    pub(crate) async fn one_dies(&mut self) -> Error {
        loop {
            for service in &mut self.running {
                if let Ok(Some(status)) = service.process.try_wait() {
                    let how = status.to_string();
                    service.hear_out().await;
                    return Error::Died { service: service.name, how, said: service.said() };
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops the three by SIGTERM, the first one to be called first, and waits until each has
    /// sent its last spans. What they complained of is the result.
    pub(crate) async fn stop(mut self) -> Result<String, Error> {
        let mut result = Ok(String::new());
        let deadline = Instant::now() + STOP;
        while let Some(mut service) = self.running.pop() {
            service.terminate();
            if timeout_at(deadline, service.process.wait()).await.is_err() {
                // It may have ended in this very moment.
                let _gone = service.process.kill().await;
                let error = Error::NotStopped { service: service.name, seconds: STOP.as_secs() };
                result = result.and(Err(error));
            }
            service.hear_out().await;
            if let Ok(said) = &mut result {
                said.push_str(&service.said());
            }
        }
        result
    }
}

impl Service {
    fn terminate(&self) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // An error means that it has ended already, which is what is wanted.
            let _sent = kill_process(id, Signal::TERM);
        }
    }

    /// Waits until what it has said is read, of a process that has ended.
    async fn hear_out(&mut self) {
        for reader in self.readers.drain(..) {
            // It only fails if it panicked, which it has said.
            let _read = reader.await;
        }
    }

    /// Its last complaints, to be put behind a sentence.
    fn said(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Reads a service's log until it says where it listens, and keeps reading in the background.
async fn listening(
    stdout: Option<ChildStdout>,
    log: Arc<Mutex<VecDeque<String>>>,
    show: bool,
) -> Option<Listening> {
    let mut lines = BufReader::new(stdout?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.strip_prefix(LISTENING) {
            let url = url.to_owned();
            #[expect(clippy::disallowed_methods, reason = "the demo itself is of no trace")]
            let reader = tokio::spawn(keep(lines.into_inner(), log, show));
            return Some(Listening { url, reader });
        }
        remember(&log, line, show);
    }
    None
}

async fn keep(
    output: impl tokio::io::AsyncBufRead + Unpin,
    log: Arc<Mutex<VecDeque<String>>>,
    show: bool,
) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        remember(&log, line, show);
    }
}

/// Keeps a line that is a complaint.
fn remember(log: &Mutex<VecDeque<String>>, line: String, show: bool) {
    if show {
        eprintln!("{line}");
    }
    let said: Value = serde_json::from_str(&line).unwrap_or_default();
    let complaint = match said["level"].as_str() {
        // What isn't a log record was written in distress.
        None => line,
        Some("WARN" | "ERROR") => {
            let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
            let why = said["fields"]["error"].as_str().or(said["fields"]["reason"].as_str());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            format!("{} {}: {}{why}", text("service.name"), text("level"), text("message"))
        }
        Some(_) => return,
    };
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    // Whoever says the same again and again would have the cause forgotten.
    if log.contains(&complaint) {
        return;
    }
    if log.len() == KEPT_LINES {
        log.pop_front();
    }
    log.push_back(complaint);
}
