//! `throughline::kafka::FutureProducer` with metrics.

use harness::Expect;
use harness::kafka::{self, Produces};
use harness::meters::meters;
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureRecord;
use std::process::ExitCode;
use std::time::Duration;
use throughline::core::W3cPropagator;
use throughline::kafka::FutureProducer;

struct Ours(FutureProducer);

impl Produces for Ours {
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
    // As `init` does.
    throughline::opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    kafka::produce(Expect::Span("send orders"), |config, provider| {
        let producer: FutureProducer = config.create()?;
        let producer = producer.with_tracer_provider(provider);
        Ok(Ours(producer.with_meter_provider(&meters())))
    })
}
