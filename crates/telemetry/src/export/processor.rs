//! The SDK's batch processor, with every span counted that goes into it.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

use super::counts::Counts;

#[derive(Debug)]
pub(crate) struct CountedProcessor {
    inner: BatchSpanProcessor,
    counts: Arc<Counts>,
}

impl CountedProcessor {
    pub(super) fn new(inner: BatchSpanProcessor, counts: Arc<Counts>) -> Self {
        Self { inner, counts }
    }
}

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.inner.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        // The SDK's batch processor exports spans that a sampler wanted recorded only.
        if span.span_context.is_sampled() && self.counts.enqueue() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
