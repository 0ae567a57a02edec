//! Services that don't share an address, as in containers, where each is known by a name.
#![expect(clippy::disallowed_methods, reason = "the threads of a test are of no trace")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use throughline_testing::embedded::Kafka;

/// A service, until it is dropped.
struct Service {
    process: Child,
    url: String,
}

impl Service {
    fn start(args: &[&str], kafka: &Kafka) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_three-services"));
        command.args(args).env("OTEL_TRACES_EXPORTER", "none");
        command.env("KAFKA_BROKERS", kafka.brokers());
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

/// The whole answer to an order.
fn http(address: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "POST /orders HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
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
    let kafka = Kafka::start().expect("a broker");
    kafka.create_topic("placed-orders", 1).expect("created");
    let fulfilment = Service::start(&["fulfilment", "--host", "127.0.0.2"], &kafka);
    assert!(fulfilment.url.starts_with("http://127.0.0.2:"), "{}", fulfilment.url);
    let orders =
        Service::start(&["orders", "--host", "127.0.0.3", "--fulfilment", &fulfilment.url], &kafka);

    // The gateway listens everywhere: what it can be called by it has to be told. Here that is
    // somebody in between, who shows whether it was used.
    let between = TcpListener::bind("127.0.0.4:0").expect("a free port");
    let callback = format!("http://{}/", between.local_addr().expect("its address"));
    let (sender, called) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = between.accept().expect("the callback");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            .expect("an answer");
        // Open until the test has ended: to close it with something unread would be an error.
        let _listening = sender.send((line, stream));
    });
    let gateway = Service::start(
        &["gateway", "--host=0.0.0.0", "--callback", &callback, "--orders", &orders.url],
        &kafka,
    );

    let public = gateway.url.replace("http://0.0.0.0", "127.0.0.5");
    let answer = http(&public, r#"{"id":"1","item":"kettle","quantity":2}"#);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (request, _stream) = called
        .recv_timeout(Duration::from_secs(10))
        .expect("the order is reported at the address of --callback");
    assert!(request.starts_with("POST /orders/1/state "), "{request}");
}
