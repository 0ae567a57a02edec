//! A service under the layer, and the spans it leaves.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::{SpanContext, Status};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use throughline_tower::ServerLayer;

pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone)]
pub(crate) struct Spans {
    exporter: InMemorySpanExporter,
    pub(crate) provider: SdkTracerProvider,
}

impl Spans {
    pub(crate) fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        Spans { exporter, provider }
    }

    /// Keeps every span, whatever its parent says.
    pub(crate) fn sampling_all() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_sampler(Sampler::AlwaysOn)
            .build();
        Spans { exporter, provider }
    }

    pub(crate) fn layer(&self) -> ServerLayer {
        ServerLayer::new().with_tracer_provider(&self.provider)
    }

    pub(crate) fn ended(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().expect("no poisoned lock")
    }

    /// The one span there is: its name, its status, its `error.type`s.
    #[track_caller]
    pub(crate) fn the_one(&self) -> (String, Status, Vec<String>) {
        let ended = self.ended();
        let [span] = ended.as_slice() else { panic!("not one span: {ended:#?}") };
        (span.name.to_string(), span.status.clone(), attribute(span, "error.type"))
    }

    #[track_caller]
    pub(crate) fn assert_end(&self, status: Status, error_type: &[&str]) {
        let (_, found, found_type) = self.the_one();
        assert_eq!((found, found_type), (status, error_type.iter().map(|t| (*t).into()).collect()));
    }
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Vec<String> {
    let found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).collect()
}

pub(crate) fn request(method: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri("/orders/42?sig=secret&page=2")
        .header("host", "shop.example:8080")
        .header("user-agent", "test/1")
        .header("traceparent", TRACEPARENT)
        .body(())
        .expect("a request")
}

pub(crate) fn answer<B>(status: u16, body: B) -> Response<B> {
    Response::builder().status(status).body(body).expect("a response")
}

pub(crate) fn current() -> SpanContext {
    use opentelemetry::trace::TraceContextExt;
    opentelemetry::Context::current().span().span_context().clone()
}
