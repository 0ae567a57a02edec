//! Which span is whose child, from the SDK itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, SpanKind, TraceContextExt, TraceId, Tracer};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, Span, SpanData, SpanProcessor};

/// The parents of the spans that are open, and what was sent below each that was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    parents: HashMap<SpanId, SpanId>,
    /// In the order in which they were started.
    sends: HashMap<SpanId, Vec<SpanId>>,
}

/// The work that a message is sent by, in a trace of its own.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) context: Context,
    pub(super) trace: TraceId,
    spans: Spans,
    span: SpanId,
}

impl Spans {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parent of a span that is open.
    pub(super) fn parent(&self, span: SpanId) -> Option<SpanId> {
        self.inner().parents.get(&span).copied()
    }

    /// Begins a trace, in which something is to be sent.
    pub(super) fn order(&self, tracer: &SdkTracer) -> Order {
        let span = tracer.start_with_context("order", &Context::new());
        let context = Context::new().with_span(span);
        let its = context.span().span_context().clone();
        self.inner().sends.insert(its.span_id(), Vec::new());
        Order { trace: its.trace_id(), span: its.span_id(), spans: self.clone(), context }
    }
}

impl Order {
    /// The spans it was sent by: of a batch one for each of its entries.
    pub(super) fn sends(&self) -> Vec<SpanId> {
        self.spans.inner().sends.get(&self.span).cloned().unwrap_or_default()
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.spans.inner().sends.remove(&self.span);
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let id = span.span_context().span_id();
        let Some(data) = span.exported_data() else { return };
        let mut inner = self.inner();
        inner.parents.insert(id, data.parent_span_id);
        if data.span_kind == SpanKind::Producer
            && let Some(sends) = inner.sends.get_mut(&data.parent_span_id)
        {
            sends.push(id);
        }
    }

    fn on_end(&self, span: SpanData) {
        self.inner().parents.remove(&span.span_context.span_id());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
