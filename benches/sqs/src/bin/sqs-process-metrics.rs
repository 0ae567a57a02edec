//! `throughline::sqs::Deliveries` with metrics.

use harness::{Expect, meters::meters, sqs};
use std::convert::Infallible;
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::sqs::{Deliveries, Message};

async fn handle(message: Message<'_>) -> Result<(), Infallible> {
    sqs::handle(message.body());
    Ok(())
}

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    sqs::process(
        Expect::Span("process orders"),
        |provider| {
            let deliveries = Deliveries::of(sqs::QUEUE).with_tracer_provider(provider);
            deliveries.with_meter_provider(&meters())
        },
        async |deliveries, message| {
            let delivery = deliveries.delivery(message);
            let Ok(()) = delivery.process(async |message| handle(message).await).await;
        },
    )
}
