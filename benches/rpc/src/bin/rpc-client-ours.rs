//! `throughline::tonic::ClientLayer` as a user applies it.

use harness::{Expect, rpc};
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::opentelemetry::trace::SpanKind;
use throughline::tonic::ClientLayer;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    rpc::main(SpanKind::Client, Expect::Span(rpc::METHOD), |provider| {
        ClientLayer::new().with_tracer_provider(provider)
    })
}
