//! `throughline::tonic::ServerLayer` with metrics.

use harness::meters::meters;
use harness::{Expect, rpc};
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::opentelemetry::trace::SpanKind;
use throughline::tonic::ServerLayer;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    rpc::main(SpanKind::Server, Expect::Span(rpc::METHOD), |provider| {
        ServerLayer::new().with_tracer_provider(provider).with_meter_provider(&meters())
    })
}
