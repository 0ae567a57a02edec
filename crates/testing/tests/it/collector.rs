use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue as Value, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use throughline_testing::embedded::{Collector, CollectorError};
use throughline_testing::lineage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(10);

async fn send(collector: &Collector, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    let head =
        format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

async fn post(collector: &Collector, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
    send(collector, &format!("POST /v1/traces HTTP/1.1\r\ncontent-type: {content_type}"), body)
        .await
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(Value { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn string(key: &str, value: &str) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.to_owned()))
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![string("service.name", "orders")], ..<_>::default() };
    let scope = InstrumentationScope {
        name: "throughline-tower".to_owned(),
        version: "0.1.0".to_owned(),
        ..<_>::default()
    };
    let scope_spans =
        ScopeSpans { scope: Some(scope), spans, schema_url: "https://schema".to_owned() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            schema_url: "https://resource.schema".to_owned(),
        }],
    }
    .encode_to_vec()
}

fn example(number: u8) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![number; 8],
        trace_state: "vendor=a".to_owned(),
        parent_span_id: vec![9; 8],
        flags: 0x301,
        name: "POST /orders".to_owned(),
        kind: span::SpanKind::Server as i32,
        start_time_unix_nano: 10,
        end_time_unix_nano: 30,
        attributes: vec![
            string("http.request.method", "POST"),
            pair("retries", any_value::Value::IntValue(3)),
        ],
        events: vec![span::Event { name: "sent".to_owned(), ..<_>::default() }],
        links: vec![span::Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            flags: 1,
            ..<_>::default()
        }],
        status: Some(Status { message: "broke".to_owned(), code: 2 }),
        ..<_>::default()
    }
}

#[tokio::test]
async fn keeps_all_that_a_span_says() {
    let collector = Collector::start().await.unwrap();
    let (status, body) =
        post(&collector, "application/x-protobuf", &request(vec![example(1)])).await;
    assert_eq!((status, body.as_slice()), (200, b"".as_slice()));
    let spans = collector.wait_for(1, SOON).await.unwrap();
    let span = &spans[0];
    assert_eq!(span.trace_id.to_string(), "07".repeat(16));
    assert_eq!(span.span_id.to_string(), "01".repeat(8));
    assert_eq!(span.parent.unwrap().to_string(), "09".repeat(8));
    assert_eq!(span.parent_is_remote(), Some(true));
    assert_eq!((span.flags & 0xff, span.trace_state.as_str()), (1, "vendor=a"));
    assert_eq!((span.name.as_str(), span.kind), ("POST /orders", lineage::Kind::Server));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (10, 30));
    assert_eq!(span.attributes.get_str("http.request.method"), Some("POST"));
    assert_eq!(span.attributes.get_int("retries"), Some(3));
    assert_eq!(span.events[0].name, "sent");
    assert_eq!(span.links[0].span_id.to_string(), "02".repeat(8));
    assert_eq!(span.status, lineage::Status::Error("broke".to_owned()));
    assert_eq!(span.service(), Some("orders"));
    assert_eq!(span.scope.name, "throughline-tower");
    assert_eq!(span.scope.schema_url, "https://schema");
    assert_eq!(span.resource.schema_url, "https://resource.schema");
    assert_eq!(collector.requests(), 1);
}

#[tokio::test]
async fn takes_json_and_parameters_of_the_content_type() {
    let collector = Collector::start().await.unwrap();
    let body = br#"{"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "07070707070707070707070707070707", "spanId": "0101010101010101", "name": "work"}
    ]}]}]}"#;
    let (status, answer) = post(&collector, "application/json; charset=utf-8", body).await;
    assert_eq!((status, answer.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(collector.spans()[0].name, "work");
}

#[tokio::test]
async fn a_span_without_ids_is_refused_and_the_others_are_kept() {
    let collector = Collector::start().await.unwrap();
    let bad = Span { trace_id: vec![0; 16], ..example(2) };
    let body = request(vec![example(1), bad, Span { span_id: vec![1; 3], ..example(3) }]);
    let (status, answer) = post(&collector, "application/x-protobuf", &body).await;
    assert_eq!(status, 200);
    let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 2);
    assert_eq!(collector.spans().len(), 1);
}

#[tokio::test]
async fn what_it_does_not_take_it_refuses_in_a_sentence() {
    let collector = Collector::start().await.unwrap();
    let post_with = |headers: &str| format!("POST /v1/traces HTTP/1.1\r\ncontent-type: {headers}");
    for (head, status, sentence) in [
        (post_with("text/plain"), 415, "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        (
            post_with("application/x-protobuf\r\ncontent-encoding: gzip"),
            415,
            "send it uncompressed",
        ),
        (post_with("application/x-protobuf"), 400, "no ExportTraceServiceRequest in protobuf"),
        (post_with("application/json"), 400, "has to be one ExportTraceServiceRequest"),
        ("GET /v1/traces HTTP/1.1".to_owned(), 405, "sent by POST"),
        ("POST /v1/metrics HTTP/1.1".to_owned(), 404, "takes traces"),
    ] {
        let (got, body) = send(&collector, &head, b"no request").await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(got, status, "{head}: {body}");
        assert!(body.contains(sentence), "{head}: {body}");
    }
    assert_eq!(collector.requests(), 0);
}

#[tokio::test]
async fn a_busy_port_is_told_and_a_stopped_collector_frees_its_port() {
    let collector = Collector::start().await.unwrap();
    let address = collector.address();
    assert_eq!(collector.endpoint(), format!("http://{address}"));
    let error = Collector::bind(address).await.unwrap_err();
    assert!(matches!(error, CollectorError::Busy(busy) if busy == address));
    assert!(error.to_string().contains(&format!("port {} of 127.0.0.1 is in use", address.port())));
    assert!(collector.stop().await.is_empty());
    Collector::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_wait_in_vain_says_what_there_is() {
    let collector = Collector::start().await.unwrap();
    post(&collector, "application/x-protobuf", &request(vec![example(1)])).await;
    let error = collector.wait_for(2, Duration::ZERO).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "waited 0ns for 2 spans, and there is 1 span:\n\
         POST /orders server [orders] (parent missing) ERROR broke ~ another trace\n"
    );
}
