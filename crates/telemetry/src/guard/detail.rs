//! What only a processor knows of a root.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline_core::root::{Attribute, Facts, Kind, Verdict};

use super::Watch;

/// A span processor in front of another, which names the scope and the trace of roots that should
/// have had a parent; from [`LineageGuard::detail`](super::LineageGuard::detail).
///
/// In front and not beside: the SDK copies each span for a second processor.
#[derive(Debug)]
pub struct RootDetail<P> {
    watch: Arc<Watch>,
    inner: P,
}

impl<P> RootDetail<P> {
    pub(super) fn new(watch: Arc<Watch>, inner: P) -> Self {
        RootDetail { watch, inner }
    }
}

/// Who made a span, and where.
struct Described<'a>(&'a SpanData);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpanData { instrumentation_scope: scope, span_context, .. } = self.0;
        write!(f, "made by {:?} in trace {}", scope.name(), span_context.trace_id())
    }
}

impl<P: SpanProcessor> SpanProcessor for RootDetail<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.parent_span_id == SpanId::INVALID {
            self.look_at(&span);
        }
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

impl<P> RootDetail<P> {
    fn look_at(&self, span: &SpanData) {
        let attributes = span.attributes.iter();
        let facts = Facts::new(
            Kind::from(&span.span_kind),
            attributes.map(|pair| (pair.key.as_str(), Attribute::from(&pair.value))),
        );
        if facts.judge() == Verdict::Orphan {
            self.watch.detail(&span.name, facts.class(), &Described(span));
        }
    }
}
