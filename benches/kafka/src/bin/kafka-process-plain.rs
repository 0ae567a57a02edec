//! The baseline: a loop over rdkafka's consumer, which knows of no trace, and stores an offset
//! before anybody has handled its record.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::{Expect, kafka};
use rdkafka::Message as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use std::process::ExitCode;

fn main() -> ExitCode {
    kafka::process(
        Expect::Nothing,
        |config, _| config.create::<StreamConsumer>(),
        |consumer, partitions| consumer.assign(partitions),
        async |consumer, records| {
            for _ in 0..records {
                let message = consumer.recv().await.expect("the broker is there");
                let handled = async { kafka::handle(message.payload()) };
                handled.await;
            }
            consumer
        },
    )
}
