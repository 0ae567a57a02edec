//! Services that don't share an address, as in containers, where each is known by a name.
//!
//! Elsewhere a machine has but one address to itself.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A service, until it is dropped.
struct Service {
    process: Child,
    url: String,
}

impl Service {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_three-services"));
        command.args(args).env("OTEL_TRACES_EXPORTER", "none");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the service starts");
        let mut out = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        while !line.starts_with("listening at ") {
            line.clear();
            let read = out.read_line(&mut line).expect("its output");
            assert_ne!(read, 0, "{args:?} ended before it listened");
        }
        // A pipe that nobody reads would stop it in the end.
        std::thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        let url = line.trim_end().trim_start_matches("listening at ").to_owned();
        Self { process, url }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The whole answer to a request.
fn http(address: &str, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn an_order_finds_its_way_between_addresses() {
    let fulfilment = Service::start(&["fulfilment", "--host", "127.0.0.2"]);
    assert!(fulfilment.url.starts_with("http://127.0.0.2:"), "{}", fulfilment.url);
    let orders =
        Service::start(&["orders", "--host", "127.0.0.3", "--fulfilment", &fulfilment.url]);

    // The gateway listens everywhere: what it can be called by it has to be told.
    let free = TcpListener::bind("127.0.0.4:0").expect("a free port");
    let internal = free.local_addr().expect("its address");
    drop(free);
    let port = internal.port().to_string();
    let callback = format!("http://{internal}/");
    let gateway = Service::start(&[
        "gateway",
        "--host=0.0.0.0",
        "--internal-port",
        &port,
        "--callback",
        &callback,
        "--orders",
        &orders.url,
    ]);
    let public = gateway.url.replace("http://0.0.0.0", "127.0.0.5");

    let placed = http(&public, "POST /orders", r#"{"id":"1","item":"kettle","quantity":2}"#);
    assert!(placed.starts_with("HTTP/1.1 201"), "{placed}");
    let state = http(&public, "GET /orders/1", "");
    assert!(state.ends_with(r#"{"state":"packed"}"#), "{state}");
}
