//! opentelemetry-instrumentation-tower, its metrics off: nobody else here counts any.

use harness::{Expect, server};
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::process::ExitCode;

fn main() -> ExitCode {
    server::main(Expect::Span("GET /users/{id}"), |router, provider| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        opentelemetry::global::set_tracer_provider(provider.clone());
        let layer = LayerBuilder::builder().with_metrics(false).build();
        router.layer(layer.ok().expect("it needs nothing else"))
    })
}
