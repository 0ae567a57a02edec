//! Baggage becomes attributes where it is asked to, and nowhere else.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SimpleSpanProcessor};
use throughline_core::baggage;
use throughline_telemetry::BaggageAttributes;

#[test]
fn named_members_are_on_every_span_below() {
    let exporter = InMemorySpanExporter::default();
    let processor = SimpleSpanProcessor::new(exporter.clone());
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BaggageAttributes::new(["tenant", "absent"], processor))
        .build();
    let tracer = provider.tracer("test");
    {
        let _tenant = baggage::set("tenant", "acme").expect("room").attach();
        let _secret = baggage::set("secret", "no").expect("room").attach();
        tracer.in_span("outer", |_| drop(tracer.start("inner")));
    }
    drop(tracer.start("without"));
    let spans = exporter.get_finished_spans().expect("spans");
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let pairs = span.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value));
            (&*span.name, pairs.collect::<Vec<_>>().join(","))
        })
        .collect();
    let wanted = [("inner", "tenant=acme"), ("outer", "tenant=acme"), ("without", "")];
    assert_eq!(told, wanted.map(|(name, pairs)| (name, pairs.to_owned())));
}
