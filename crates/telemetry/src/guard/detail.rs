//! What only a processor knows of a root.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::Watch;

/// A span processor in front of another, which names the scope and the trace of roots that should
/// have had a parent; from [`LineageGuard::detail`](super::LineageGuard::detail).
///
/// In front and not beside: the SDK copies each span for a second processor.
#[derive(Debug)]
pub struct RootDetail<P> {
    inner: P,
}

impl<P> RootDetail<P> {
    pub(super) fn new(inner: P) -> Self {
        RootDetail { inner }
    }
}

/// Who made a span, and where.
fn described(span: &SpanData) -> String {
    let scope = span.instrumentation_scope.name();
    // Spans of `tracing` have our layer for a scope; their target is the module they are made in.
    let target = span.attributes.iter().find(|pair| pair.key.as_str() == "target");
    let trace = span.span_context.trace_id();
    match target.filter(|_| scope == env!("CARGO_PKG_NAME")) {
        Some(target) => format!("made by {:?} in trace {trace}", target.value.as_str()),
        None => format!("made by {scope:?} in trace {trace}"),
    }
}

impl<P: SpanProcessor> SpanProcessor for RootDetail<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if !context.span().span_context().is_valid() {
            let trace = span.span_context().trace_id();
            Watch::detail(trace, || span.exported_data().as_ref().map(described));
        }
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.inner.on_end(span);
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
