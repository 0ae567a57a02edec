//! A span and its context in the headers, written by hand on the SDK's propagator.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::Expect;
use harness::kafka::{self, Produces};
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use std::process::ExitCode;
use std::time::Duration;

struct Hand {
    producer: FutureProducer,
    tracer: SdkTracer,
    server: (String, i64),
}

#[derive(Default)]
struct HeaderInjector(Option<OwnedHeaders>);

impl Injector for HeaderInjector {
    fn set(&mut self, key: &str, value: String) {
        let headers = self.0.take().unwrap_or_default();
        self.0 = Some(headers.insert(Header { key, value: Some(&value) }));
    }
}

impl Produces for Hand {
    fn send(&self, mut record: FutureRecord<'_, str, str>) -> impl Future<Output = ()> {
        let span = self
            .tracer
            .span_builder(format!("send {}", record.topic))
            .with_kind(SpanKind::Producer)
            .with_attributes([
                KeyValue::new("messaging.system.name", "kafka"),
                KeyValue::new("messaging.operation.name", "send"),
                KeyValue::new("messaging.operation.type", "send"),
                KeyValue::new("messaging.client.id", kafka::CLIENT_ID),
                KeyValue::new("messaging.destination.name", record.topic.to_owned()),
                KeyValue::new("server.address", self.server.0.clone()),
                KeyValue::new("server.port", self.server.1),
            ])
            .start(&self.tracer);
        let context = Context::current_with_span(span);
        let mut injector = HeaderInjector(record.headers.take());
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut injector);
        });
        record.headers = injector.0;
        let answer = self.producer.send_result(record).expect("the queue isn't full");
        async move {
            let span = context.span();
            match answer.await.expect("the producer is there") {
                Ok(delivery) => {
                    let partition = delivery.partition.to_string();
                    span.set_attribute(KeyValue::new(
                        "messaging.destination.partition.id",
                        partition,
                    ));
                    span.set_attribute(KeyValue::new("kafka.offset", delivery.offset));
                }
                Err((error, _)) => {
                    span.set_attribute(KeyValue::new("error.type", "kafka"));
                    span.set_status(Status::error(error.to_string()));
                }
            }
            span.end();
        }
    }

    fn flush(&self) -> KafkaResult<()> {
        self.producer.flush(Duration::from_secs(60))
    }
}

fn main() -> ExitCode {
    global::set_text_map_propagator(TraceContextPropagator::new());
    kafka::produce(Expect::Span("send orders"), |config, provider| {
        let server = kafka::server(config);
        Ok(Hand { producer: config.create()?, tracer: provider.tracer("orders"), server })
    })
}
