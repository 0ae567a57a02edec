//! `throughline::sqs::Interceptor` as a user applies it.

use harness::Expect;
use harness::sqs::{self, Call};
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::sqs::Interceptor;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    sqs::call(Call::Receive, Expect::Span("receive orders"), |config, provider| {
        config.interceptor(Interceptor::new().with_tracer_provider(provider))
    })
}
