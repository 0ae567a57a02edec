//! The baseline: a loop that collects a hundred records, handles them, and then tells rdkafka's consumer
//! the last one's offset.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::{Expect, kafka};
use rdkafka::Message as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use std::process::ExitCode;

async fn round(consumer: &StreamConsumer, records: u64) {
    let mut batch = Vec::new();
    for _ in 0..records {
        batch.push(consumer.recv().await.expect("the broker is there"));
    }
    let handled = async { kafka::handle_all(batch.iter().map(|message| message.payload())) };
    handled.await;
    let last = batch.last().expect("there is one");
    consumer.store_offset_from_message(last).expect("it is assigned");
}

fn main() -> ExitCode {
    kafka::process_batches(
        Expect::Nothing,
        |config, _| config.set("enable.auto.offset.store", "false").create::<StreamConsumer>(),
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
