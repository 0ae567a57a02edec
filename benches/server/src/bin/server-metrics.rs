//! `throughline::axum::ServerLayer` with metrics.

use harness::meters::meters;
use harness::{Expect, server};
use std::process::ExitCode;
use throughline::axum::ServerLayer;
use throughline::core::W3cPropagator;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    server::main(Expect::Span("GET /users/{id}"), |router, provider| {
        router
            .layer(ServerLayer::new().with_tracer_provider(provider).with_meter_provider(&meters()))
    })
}
