//! The baseline: rdkafka's producer, which knows of no trace.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::Expect;
use harness::kafka::{self, Produces};
use rdkafka::error::KafkaResult;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use std::process::ExitCode;
use std::time::Duration;

struct Plain(FutureProducer);

impl Produces for Plain {
    fn send(&self, record: FutureRecord<'_, str, str>) -> impl Future<Output = ()> {
        let answer = self.0.send_result(record).expect("the queue isn't full");
        async {
            answer.await.expect("the producer is there").expect("the broker takes it");
        }
    }

    fn flush(&self) -> KafkaResult<()> {
        self.0.flush(Duration::from_secs(60))
    }
}

fn main() -> ExitCode {
    kafka::produce(Expect::Nothing, |config, _| config.create().map(Plain))
}
