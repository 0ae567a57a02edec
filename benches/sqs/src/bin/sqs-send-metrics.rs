//! `throughline::sqs::Interceptor` with metrics.

use harness::Expect;
use harness::meters::meters;
use harness::sqs::{self, Call};
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::sqs::Interceptor;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    sqs::call(Call::Send, Expect::Span("send orders"), |config, provider| {
        let interceptor = Interceptor::new().with_tracer_provider(provider);
        config.interceptor(interceptor.with_meter_provider(&meters()))
    })
}
