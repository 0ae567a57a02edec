//! Who the parent of a span is, from the SDK itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline_core::semconv;

/// The parents of the spans that are open, and the spans of what was sent, by partition and
/// offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    parents: HashMap<SpanId, SpanId>,
    sends: HashMap<(String, i64), (String, String)>,
}

impl Spans {
    /// The parent of a span that is open.
    pub(super) fn parent(&self, span: SpanId) -> Option<SpanId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).parents.get(&span).copied()
    }

    /// The trace and the span that a record was sent by.
    pub(super) fn take_send(&self, partition: i32, offset: i64) -> Option<(String, String)> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sends.remove(&(partition.to_string(), offset))
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let id = span.span_context().span_id();
        if let Some(data) = span.exported_data() {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.parents.insert(id, data.parent_span_id);
        }
    }

    fn on_end(&self, span: SpanData) {
        let find = |key: &str| span.attributes.iter().find(|kv| kv.key.as_str() == key);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.parents.remove(&span.span_context.span_id());
        let partition = find(semconv::MESSAGING_DESTINATION_PARTITION_ID);
        let offset = find(semconv::KAFKA_OFFSET);
        if let (
            true,
            Some(partition),
            Some(opentelemetry::KeyValue { value: opentelemetry::Value::I64(offset), .. }),
        ) = (span.span_kind == opentelemetry::trace::SpanKind::Producer, partition, offset)
        {
            let context = &span.span_context;
            let place = (partition.value.to_string(), *offset);
            let ids = (context.trace_id().to_string(), context.span_id().to_string());
            inner.sends.insert(place, ids);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
