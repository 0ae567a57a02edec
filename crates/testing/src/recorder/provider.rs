use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanKind, Status, TraceId, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span as SdkSpan, SpanData,
    SpanProcessor,
};
use throughline_core::semconv;
use throughline_lineage::{Resource, Span};

use super::store::Store;
use crate::convert;

/// Where spans go.
pub(super) trait Sink: Debug + Send + Sync + 'static {
    fn started(&self, span: Span, parent: &Context);
    /// `end` was called, for the first time or once more.
    fn end_called(&self, span: &SpanContext);
    fn ended(&self, span: Span);
}

/// OpenTelemetry's SDK, with its spans kept by a [`Recorder`](super::Recorder) and every call of
/// `end` counted.
#[derive(Clone, Debug)]
pub struct Provider {
    sdk: SdkTracerProvider,
    sink: Arc<dyn Sink>,
}

impl Provider {
    pub(super) fn build(store: &Arc<Store>, service: Option<&str>) -> Self {
        let service = service.map(|name| KeyValue::new(semconv::SERVICE_NAME, name.to_owned()));
        let sampler = StoreSampler(Arc::clone(store));
        Provider::new(Arc::clone(store) as Arc<dyn Sink>, sampler, service)
    }

    pub(super) fn new(
        sink: Arc<dyn Sink>,
        sampler: impl ShouldSample + 'static,
        resource: impl IntoIterator<Item = KeyValue>,
    ) -> Self {
        // Without what the environment says: a test must not depend on it.
        let resource =
            opentelemetry_sdk::Resource::builder_empty().with_attributes(resource).build();
        let sdk = SdkTracerProvider::builder()
            .with_sampler(Box::new(sampler) as Box<dyn ShouldSample>)
            .with_resource(resource)
            .with_span_processor(Processor { sink: Arc::clone(&sink), resource: Arc::default() })
            .build();
        Provider { sdk, sink }
    }

    /// The SDK's own provider, for code that asks for this type, and for shutting it down. Its
    /// spans are kept too; that one is ended twice is not seen.
    #[must_use]
    pub fn sdk(&self) -> &SdkTracerProvider {
        &self.sdk
    }
}

impl TracerProvider for Provider {
    type Tracer = RecordedTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> RecordedTracer {
        let sdk = self.sdk.tracer_with_scope(scope);
        RecordedTracer { sdk, sink: Arc::clone(&self.sink) }
    }
}

/// The tracer of a [`Provider`].
#[derive(Clone, Debug)]
pub struct RecordedTracer {
    sdk: SdkTracer,
    sink: Arc<dyn Sink>,
}

impl Tracer for RecordedTracer {
    type Span = RecordedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> RecordedSpan {
        let sdk = self.sdk.build_with_context(builder, parent);
        RecordedSpan { sdk, sink: Arc::clone(&self.sink) }
    }
}

/// A span of a [`Provider`].
#[derive(Debug)]
pub struct RecordedSpan {
    sdk: SdkSpan,
    sink: Arc<dyn Sink>,
}

impl opentelemetry::trace::Span for RecordedSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        self.sdk.add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.sdk.span_context()
    }

    fn is_recording(&self) -> bool {
        self.sdk.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.sdk.set_attribute(attribute);
    }

    fn set_status(&mut self, status: Status) {
        self.sdk.set_status(status);
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        self.sdk.update_name(name);
    }

    fn add_link(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        self.sdk.add_link(to, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.sink.end_called(self.sdk.span_context());
        self.sdk.end_with_timestamp(timestamp);
    }
}

#[derive(Debug)]
struct Processor {
    sink: Arc<dyn Sink>,
    resource: Arc<Resource>,
}

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        let span = span.exported_data().and_then(|data| convert::span(data, &self.resource));
        if let Some(span) = span {
            self.sink.started(span, parent);
        }
    }

    fn on_end(&self, span: SpanData) {
        if let Some(span) = convert::span(span, &self.resource) {
            self.sink.ended(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.resource = Arc::new(convert::resource(resource));
    }
}

/// One sampler for all the providers of a recorder.
#[derive(Clone, Debug)]
struct StoreSampler(Arc<Store>);

impl ShouldSample for StoreSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.0.sampler().should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
