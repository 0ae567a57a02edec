//! Who calls the services with what nobody may read.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::metadata::MetadataValue;

use super::shipping::{Parcel, shipping_client::ShippingClient};

const DEADLINE: Duration = Duration::from_secs(30);

/// Sends a request as it is; the status of the answer. What stands in `headers` is one a line.
pub(super) async fn http(url: &str, line: &str, headers: &str, body: &str) -> u16 {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let host = if headers.contains("host: ") { "" } else { "host: localhost\r\n" };
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\n{host}connection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    read.expect("answered in time").expect("readable");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{line}: no status in {answer:?}"))
}

/// Has an order packed, by gRPC; whether it was.
pub(super) async fn grpc(url: &str, parcel: Parcel) -> bool {
    let mut client = ShippingClient::connect(url.to_owned()).await.expect("somebody listens");
    let mut request = tonic::Request::new(parcel);
    let metadata = request.metadata_mut();
    let text = |text: &'static str| MetadataValue::from_static(text);
    metadata.insert("authorization", text("Bearer planted-grpc-authorization"));
    metadata.insert("x-api-key", text("planted-grpc-api-key"));
    metadata.insert("x-tenant", text("planted-grpc-tenant"));
    metadata.insert("baggage", text("token=planted-grpc-baggage"));
    metadata.insert_bin("session-bin", MetadataValue::from_bytes(b"planted-grpc-session"));
    client.ship(request).await.is_ok()
}

/// Announces an order, as somebody who is none of ours.
pub(super) async fn kafka(brokers: &str, payload: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    let header = |key, value: &'static str| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        .insert(header("tracestate", "planted-kafka-tracestate"))
        .insert(header("baggage", "token=planted-kafka-baggage"))
        .insert(header("authorization", "Bearer planted-kafka-header"))
        .insert(header("planted-kafka-header-name", "x"));
    let record = FutureRecord::to("placed-orders").key("planted-kafka-key").payload(payload);
    #[expect(clippy::disallowed_methods, reason = "who sends it is of no trace")]
    let sent = producer.send(record.headers(headers), DEADLINE).await;
    sent.expect("the broker has it");
}

/// Somebody whom orders are reported to, and what headers came with each report.
pub(super) struct Customer {
    pub(super) address: String,
    reports: mpsc::UnboundedReceiver<HeaderMap>,
}

impl Customer {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (told, reports) = mpsc::unbounded_channel();
        let report = async move |headers: HeaderMap| {
            // Nobody may wait for it.
            let _told = told.send(headers);
        };
        let routes = Router::new().route("/orders/{id}/state", post(report));
        #[expect(clippy::disallowed_methods, reason = "a customer is of no trace")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, reports }
    }

    /// The headers of the next report, as one text.
    pub(super) async fn reported(&mut self) -> String {
        let report = tokio::time::timeout(DEADLINE, self.reports.recv()).await;
        format!("{:?}", report.expect("reported in time").expect("it runs"))
    }
}
