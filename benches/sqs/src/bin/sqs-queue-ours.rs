//! `throughline::sqs::Queue` as a user applies it, in a loop of his own.

use aws_sdk_sqs::Client;
use harness::{Expect, sqs};
use std::convert::Infallible;
use std::process::ExitCode;
use throughline::core::W3cPropagator;
use throughline::sqs::{Message, Queue};

async fn handle(message: Message<'_>) -> Result<(), Infallible> {
    sqs::handle(message.body());
    Ok(())
}

fn main() -> ExitCode {
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    sqs::consume(
        Expect::Span("process orders"),
        |config, provider| {
            let client = Client::from_conf(config.build());
            Queue::new(client, sqs::QUEUE).with_tracer_provider(provider)
        },
        async |queue, messages| {
            let mut done = 0;
            while done < messages {
                for delivery in queue.receive().await.expect("the canned answer can't fail") {
                    let Ok(()) = delivery.process(async |message| handle(message).await).await;
                    done += 1;
                }
            }
            queue.flush().await.expect("the canned answer can't fail");
        },
    )
}
