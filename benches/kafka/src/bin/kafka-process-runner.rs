//! `throughline::kafka::Runner` as a user applies it: a copy of each record, in a task of its own.

use harness::{Expect, kafka};
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use throughline::core::W3cPropagator;
use throughline::kafka::StreamConsumer;

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    kafka::process(
        Expect::Span("process orders"),
        |config, provider| {
            let consumer: StreamConsumer = config.create()?;
            Ok(consumer.with_tracer_provider(provider))
        },
        |consumer, partitions| consumer.assign(partitions),
        async |consumer, records| {
            let (left, closer) = (Arc::new(AtomicU64::new(records)), consumer.closer());
            let ran = consumer.runner().run(move |message| {
                let (left, closer) = (Arc::clone(&left), closer.clone());
                async move {
                    kafka::handle(message.payload());
                    if left.fetch_sub(1, Relaxed) == 1 {
                        closer.close();
                    }
                    Ok::<_, Infallible>(())
                }
            });
            ran.await.expect("no handler fails");
        },
    )
}
