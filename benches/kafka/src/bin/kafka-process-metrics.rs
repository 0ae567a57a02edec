//! `throughline::kafka::StreamConsumer` with metrics.

use harness::{Expect, kafka, meters::meters};
use std::convert::Infallible;
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::kafka::{Message, StreamConsumer};

async fn handle(message: Message<'_>) -> Result<(), Infallible> {
    kafka::handle(message.payload());
    Ok(())
}

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    kafka::process(
        Expect::Span("process orders"),
        |config, provider| {
            let consumer: StreamConsumer = config.create()?;
            let consumer = consumer.with_tracer_provider(provider);
            Ok(consumer.with_meter_provider(&meters()))
        },
        |consumer, partitions| consumer.assign(partitions),
        async |consumer, records| {
            for _ in 0..records {
                let delivery = consumer.recv().await.expect("the broker is there");
                let delivery = delivery.expect("nobody closes it");
                let Ok(()) = delivery.process(async |message| handle(message).await).await;
            }
            consumer
        },
    )
}
