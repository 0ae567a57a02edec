//! A service of the demo, started by hand.
#![expect(clippy::disallowed_methods, reason = "the threads of a test are of no trace")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::demo;

const LISTENING: &str = "listening at ";
const DEADLINE: Duration = Duration::from_secs(30);

/// A service, until it is dropped.
pub(crate) struct Service {
    process: Child,
    pub(crate) url: String,
    /// What it has said, on either output.
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    /// Disconnected when both outputs have ended.
    listens: mpsc::Receiver<String>,
}

impl Service {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start<'a>(
        args: &[&str],
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut command = demo();
        command.args(args).env("NO_PROXY", "127.0.0.1").envs(environment);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the service starts");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (listening, listens) = mpsc::channel();
        let out = read(process.stdout.take().expect("its output"), &lines, listening.clone());
        let err = read(process.stderr.take().expect("its errors"), &lines, listening);
        // Nobody is left to tell it where both outputs have ended.
        let Ok(url) = listens.recv_timeout(DEADLINE) else {
            panic!("{args:?} doesn't listen: {lines:?}")
        };
        Self { process, url, lines, readers: vec![out, err], listens }
    }

    /// Stops it by SIGTERM: its last spans are sent. All that it has said.
    pub(crate) fn stop(self) -> Vec<String> {
        self.terminate();
        self.ended()
    }

    /// Sends it a SIGTERM, and waits for nothing.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::TERM).expect("it runs");
    }

    /// Waits until it ends by itself. All that it has said.
    pub(crate) fn ended(mut self) -> Vec<String> {
        let last = loop {
            match self.listens.recv_timeout(DEADLINE) {
                Ok(_) => {}
                Err(last) => break last,
            }
        };
        assert_eq!(last, mpsc::RecvTimeoutError::Disconnected, "it doesn't end: {:?}", self.lines);
        self.process.wait().expect("it ends");
        for reader in self.readers.drain(..) {
            reader.join().expect("it is read");
        }
        std::mem::take(&mut *self.lines.lock().expect("a lock"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Reads to the end: a pipe that nobody reads would stop it.
fn read(
    output: impl Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
    listening: mpsc::Sender<String>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(url) = line.strip_prefix(LISTENING) {
                // Nobody hears the second one.
                let _told = listening.send(url.to_owned());
            }
            lines.lock().expect("a lock").push(line);
        }
    })
}
