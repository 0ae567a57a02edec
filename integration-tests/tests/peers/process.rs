//! Programs that are not ours: started with a folder and ports of their own, and ended with the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of this test's own, removed afterwards.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("peers-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A command that ends with us, whatever becomes of us, and that the environment of whoever tests
/// tells neither of telemetry nor of proxies.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]).stdin(Stdio::null()).kill_on_drop(true);
    let others = std::env::vars_os().map(|(name, _)| name);
    for name in others.filter(|name| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env("no_proxy", "127.0.0.1").env("NO_PROXY", "127.0.0.1");
    // Nor does anybody wait five seconds for spans that others have ended.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    command
}

/// A script of `python/`, started by `opentelemetry-instrument`, which is all the telemetry it has.
pub(crate) fn python(interpreter: &str, script: &str) -> Command {
    let mut command = command(interpreter);
    command
        .args(["-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"])
        .arg(interpreter)
        .arg(format!("{}/tests/peers/python/{script}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// A server on ports of this machine.
pub(crate) struct Server<const PORTS: usize> {
    // Ended before its folder is removed.
    _child: Child,
    _folder: Folder,
    pub(crate) addresses: [SocketAddr; PORTS],
}

impl<const PORTS: usize> Server<PORTS> {
    /// `command` is told the folder and the ports. It is usable once it takes connections on all.
    pub(crate) async fn start(command: impl Fn(&Folder, [u16; PORTS]) -> Command) -> Self {
        let mut said = String::new();
        // A port that was free a moment ago may be taken by now.
        for _ in 0..3 {
            let folder = Folder::new();
            let ports = free_ports();
            let log = std::fs::File::create(folder.path().join("log")).expect("a log");
            let mut command = command(&folder, ports);
            command.stdout(log.try_clone().expect("a log")).stderr(log);
            let mut child = command.spawn().expect("a process");
            let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            if usable(&mut child, &addresses).await {
                return Server { _child: child, _folder: folder, addresses };
            }
            said = folder.read("log");
        }
        panic!("it doesn't start: {said}");
    }
}

async fn usable(child: &mut Child, addresses: &[SocketAddr]) -> bool {
    let waiting = async {
        for address in addresses {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                if child.try_wait().expect("a status").is_some() {
                    return false;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        child.try_wait().expect("a status").is_none()
    };
    timeout(PATIENCE, waiting).await.unwrap_or(false)
}

fn free_ports<const PORTS: usize>() -> [u16; PORTS] {
    // All at once, so that they are different.
    let listeners = [(); PORTS].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

/// A tested configuration, as `docs/proxies` has it, with the addresses of a test in the place of
/// those that it shows.
pub(crate) fn configuration(name: &str, addresses: &[(&str, String)]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proxies");
    let path = Path::new(folder).join(name);
    let mut text = std::fs::read_to_string(path).expect("a configuration");
    for (shown, ours) in addresses {
        assert!(text.contains(shown), "{name} doesn't show {shown}");
        text = text.replace(shown, ours);
    }
    text
}
