//! tower-otel, as its documentation applies it.

use harness::{Expect, server};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::process::ExitCode;
use tracing_subscriber::layer::SubscriberExt as _;

fn main() -> ExitCode {
    server::main(Expect::Span("GET /users/{id}"), |router, provider| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(otel))
            .expect("it is the first");
        router.layer(tower_otel::trace::HttpLayer::server(tracing::Level::INFO))
    })
}
