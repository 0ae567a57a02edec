use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use throughline_core::codec::traceparent;

const PREFIX: &str = "x-battery-";

/// A propagator that isn't Throughline's. It finds its headers by a prefix, as Jaeger's does with
/// baggage, so the carrier has to tell it the [names](throughline_core::ReadCarrier::names) there
/// are.
#[derive(Clone, Debug, Default)]
pub struct Foreign(Arc<AtomicBool>);

impl Foreign {
    /// Whether a boundary has called it.
    pub(super) fn was_asked(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl TextMapPropagator for Foreign {
    // Only what comes in goes by its headers.
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.store(true, Relaxed);
        let (mut context, mut baggage) = (context.clone(), Vec::new());
        for key in extractor.keys() {
            let name = key.to_ascii_lowercase();
            let (Some(name), Some(value)) = (name.strip_prefix(PREFIX), extractor.get(key)) else {
                continue;
            };
            match (name, traceparent::parse(value.as_bytes())) {
                ("trace", Ok(parent)) => {
                    let remote = parent.into_span_context(<_>::default());
                    context = context.with_remote_span_context(remote);
                }
                _ => baggage.push(KeyValue::new(name.to_owned(), value.to_owned())),
            }
        }
        if baggage.is_empty() { context } else { context.with_baggage(baggage) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}
