//! `recv_batch` and `process_batch` as a user applies them.

use harness::{Expect, kafka};
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;
use throughline::core::W3cPropagator;
use throughline::kafka::{Message, StreamConsumer};

async fn handle(messages: &[Message<'_>]) -> Result<(), Infallible> {
    kafka::handle_all(messages.iter().map(|message| message.payload()));
    Ok(())
}

async fn round(consumer: &StreamConsumer, records: u64) {
    let count = usize::try_from(records).expect("not so many");
    let batch = consumer.recv_batch(count, Duration::from_secs(60)).await;
    let batch = batch.expect("the broker is there").expect("nobody closes it");
    let Ok(()) = batch.process_batch(async |messages| handle(messages).await).await;
}

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    kafka::process_batches(
        Expect::Span("process orders"),
        |config, provider| {
            let consumer: StreamConsumer = config.create()?;
            Ok(consumer.with_tracer_provider(provider))
        },
        |consumer, partitions| consumer.assign(partitions),
        async |consumer, records| {
            let mut left = records;
            while left > 0 {
                let count = left.min(kafka::BATCH);
                round(&consumer, count).await;
                left -= count;
            }
            consumer
        },
    )
}
