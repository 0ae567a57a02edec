//! A loop that loses no record: rdkafka's consumer, told of an offset after its handler.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::{Expect, kafka};
use rdkafka::Message as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use std::process::ExitCode;

fn main() -> ExitCode {
    kafka::process(
        Expect::Nothing,
        |config, _| config.set("enable.auto.offset.store", "false").create::<StreamConsumer>(),
        |consumer, partitions| consumer.assign(partitions),
        async |consumer, records| {
            for _ in 0..records {
                let message = consumer.recv().await.expect("the broker is there");
                let handled = async { kafka::handle(message.payload()) };
                handled.await;
                consumer.store_offset_from_message(&message).expect("it is assigned");
            }
            consumer
        },
    )
}
