//! Who calls the services with what nobody may read.

use std::time::Duration;

use aws_sdk_sqs::config::{Credentials, Region};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use throughline_testing::embedded::Sqs;
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

/// Asks for a pickup, as somebody who is none of ours.
pub(super) async fn sqs(endpoint: &str, body: &str) {
    let config = aws_sdk_sqs::Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let sqs = aws_sdk_sqs::Client::from_conf(config.build());
    let found = sqs.get_queue_url().queue_name("pickups").send().await.expect("an answer");
    let mut message = sqs.send_message().set_queue_url(found.queue_url).message_body(body);
    for (name, value) in [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "planted-sqs-tracestate"),
        ("baggage", "token=planted-sqs-baggage"),
        ("authorization", "Bearer planted-sqs-attribute"),
        ("planted-sqs-attribute-name", "x"),
    ] {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value);
        message = message.message_attributes(name, value.build().expect("a value"));
    }
    let value = MessageAttributeValue::builder().data_type("Binary.planted-sqs-type");
    let value = value.binary_value(Blob::new("planted-sqs-binary")).build().expect("a value");
    message.message_attributes("session", value).send().await.expect("it is sent");
}

/// Somebody between the services and SQS, at whose address every URL of a queue holds what nobody may
/// read.
pub(super) async fn between(sqs: &Sqs) -> String {
    let sqs = sqs.endpoint().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let with_secrets = {
        let address = endpoint.trim_start_matches("http://");
        format!("http://planted-queue-user:planted-queue-password@{address}/000000000000/")
    };
    let query = "?sig=planted-queue-sig";
    let forward = async move |headers: HeaderMap, body: String| {
        let plain = format!("{sqs}/000000000000/");
        let body = body.replace(&with_secrets, &plain).replace(query, "");
        let mut request = http.post(&sqs).body(body);
        for name in ["content-type", "x-amz-target"] {
            request = request.header(name, headers[name].clone());
        }
        #[expect(clippy::disallowed_methods, reason = "it is of no trace")]
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = answer.text().await.expect("a text").replace(&plain, &with_secrets);
        for queue in ["pickups-dead", "pickups"] {
            body = body.replace(&format!("/{queue}\""), &format!("/{queue}{query}\""));
        }
        let kept = ["content-type", "x-amzn-query-error", "x-amzn-requestid"];
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        let headers = headers.filter(|(name, _)| kept.contains(&name.as_str()));
        (status, headers.collect::<HeaderMap>(), body)
    };
    let routes = Router::new().route("/", post(forward));
    #[expect(clippy::disallowed_methods, reason = "it is of no trace")]
    tokio::spawn(async move { axum::serve(listener, routes).await });
    endpoint
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
