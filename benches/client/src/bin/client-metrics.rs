//! `throughline::reqwest::ClientMiddleware` with metrics.

use harness::meters::meters;
use harness::{Expect, client};
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::reqwest::ClientMiddleware;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    client::main(Expect::Span("GET"), |client, provider, _| {
        client.with(
            ClientMiddleware::new().with_tracer_provider(provider).with_meter_provider(&meters()),
        )
    })
}
