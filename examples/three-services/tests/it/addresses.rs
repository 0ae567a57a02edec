//! Services that don't share an address, as in containers, where each is known by a name.
#![expect(clippy::disallowed_methods, reason = "the threads of a test are of no trace")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use throughline_testing::embedded::{Kafka, Sqs};

use crate::harness::access;
use crate::service::Service;

/// A service that sends its spans nowhere.
fn start(args: &[&str], kafka: &Kafka, sqs: &Sqs) -> Service {
    let environment = [("OTEL_TRACES_EXPORTER", "none"), ("KAFKA_BROKERS", kafka.brokers())];
    Service::start(args, environment.into_iter().chain(access(sqs)))
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
    let sqs = Sqs::start().expect("an SQS");
    let fulfilment = start(&["fulfilment", "--host", "127.0.0.2"], &kafka, &sqs);
    assert!(fulfilment.url.starts_with("http://127.0.0.2:"), "{}", fulfilment.url);
    let orders =
        start(&["orders", "--host", "127.0.0.3", "--fulfilment", &fulfilment.url], &kafka, &sqs);

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
    let gateway = start(
        &["gateway", "--host=0.0.0.0", "--callback", &callback, "--orders", &orders.url],
        &kafka,
        &sqs,
    );

    let public = gateway.url.replace("http://0.0.0.0", "127.0.0.5");
    let answer = http(&public, r#"{"id":"1","item":"kettle","quantity":2}"#);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (request, _stream) = called
        .recv_timeout(Duration::from_secs(10))
        .expect("the order is reported at the address of --callback");
    assert!(request.starts_with("POST /orders/1/state "), "{request}");
}
