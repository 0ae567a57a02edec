//! A loop that loses no record, and a span for each, written by hand on the SDK's propagator.
#![allow(clippy::disallowed_methods, reason = "what ours is compared with")]

use harness::{Expect, kafka};
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _};
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

struct HeaderExtractor<'a>(Option<&'a BorrowedHeaders>);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let header = self.0?.iter().find(|header| header.key.eq_ignore_ascii_case(key))?;
        std::str::from_utf8(header.value?).ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.into_iter().flat_map(|headers| headers.iter()).map(|header| header.key).collect()
    }
}

async fn handle(message: &BorrowedMessage<'_>) -> Result<(), Infallible> {
    kafka::handle(message.payload());
    Ok(())
}

/// How many milliseconds ago it was sent.
fn age(message: &BorrowedMessage<'_>) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = i64::try_from(now.as_millis()).ok()?;
    message.timestamp().to_millis().map(|sent| (now - sent).max(0))
}

async fn process(
    tracer: &SdkTracer,
    (address, port): &(String, i64),
    message: &BorrowedMessage<'_>,
) -> Result<(), Infallible> {
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(message.headers()))
    });
    let span = tracer
        .span_builder(format!("process {}", message.topic()))
        .with_kind(SpanKind::Consumer)
        .with_attributes([
            KeyValue::new("messaging.system.name", "kafka"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.consumer.group.name", kafka::GROUP),
            KeyValue::new("messaging.client.id", kafka::CLIENT_ID),
            KeyValue::new("messaging.destination.name", message.topic().to_owned()),
            KeyValue::new("messaging.destination.partition.id", message.partition().to_string()),
            KeyValue::new("kafka.offset", message.offset()),
            KeyValue::new("server.address", address.clone()),
            KeyValue::new("server.port", *port),
            KeyValue::new("throughline.message.age", age(message).unwrap_or_default()),
        ])
        .start_with_context(tracer, &parent);
    let context = parent.with_span(span);
    let result = handle(message).with_context(context.clone()).await;
    let span = context.span();
    if let Err(error) = &result {
        span.set_attribute(KeyValue::new("error.type", "handler"));
        span.set_status(Status::error(error.to_string()));
    }
    span.end();
    result
}

fn main() -> ExitCode {
    global::set_text_map_propagator(TraceContextPropagator::new());
    kafka::process(
        Expect::Span("process orders"),
        |config, provider| {
            config.set("enable.auto.offset.store", "false");
            let server = kafka::server(config);
            Ok((config.create::<StreamConsumer>()?, provider.tracer("fulfilment"), server))
        },
        |(consumer, ..), partitions| consumer.assign(partitions),
        async |(consumer, tracer, server), records| {
            for _ in 0..records {
                let message = consumer.recv().await.expect("the broker is there");
                let Ok(()) = process(&tracer, &server, &message).await;
                consumer.store_offset_from_message(&message).expect("it is assigned");
            }
            consumer
        },
    )
}
