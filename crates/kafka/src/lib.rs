//! Trace context through Kafka, on [`rdkafka`]: producers that inject, and consumers that give up a
//! record's payload only inside its trace.
//!
//! Swap the import: [`FutureProducer`], [`ThreadedProducer`], [`BaseProducer`] and [`StreamConsumer`]
//! are made by the same [`ClientConfig`](rdkafka::ClientConfig), and take the same records.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rdkafka::ClientConfig;
//! use rdkafka::producer::FutureRecord;
//! use throughline_kafka::{FutureProducer, OwnedMessage, StreamConsumer};
//!
//! # async fn handle(_: OwnedMessage) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::new();
//! config.set("bootstrap.servers", "localhost:9092").set("group.id", "fulfilment");
//!
//! let producer: FutureProducer = config.create()?;
//! let record = FutureRecord::to("orders").key("42").payload("{}");
//! producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
//!
//! let consumer: StreamConsumer = config.create()?;
//! consumer.subscribe(&["orders"])?;
//! consumer.runner().concurrency(8).per_key().run(handle).await?;
//! # Ok(()) }
//! ```
//!
//! One record at a time, without tasks, by `recv`:
//!
//! ```no_run
//! # use throughline_kafka::{Message, StreamConsumer};
//! # async fn handle(_: Message<'_>) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn run(consumer: StreamConsumer) -> Result<(), Box<dyn std::error::Error>> {
//! while let Some(delivery) = consumer.recv().await? {
//!     // Why one fails is told by the next `recv`, with its place.
//!     delivery.process(async |message| handle(message).await).await.ok();
//! }
//! # Ok(()) }
//! ```
//!
//! Many at a time, into a database for one, by [`recv_batch`](StreamConsumer::recv_batch), or by
//! [`batch_runner`](StreamConsumer::batch_runner), which tries again and puts aside:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use throughline_kafka::{Message, StreamConsumer};
//! # async fn insert(_: &[Message<'_>]) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn run(consumer: StreamConsumer) -> Result<(), Box<dyn std::error::Error>> {
//! while let Some(batch) = consumer.recv_batch(500, Duration::from_millis(100)).await? {
//!     batch.process_batch(async |messages| insert(messages).await).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! # What can't be forgotten
//!
//! - A [`Delivery`] shows where a record comes from. Its payload, key and headers are given up only
//!   inside [`process`](Delivery::process), where its trace is current.
//! - A record is acknowledged when its handler has succeeded, and in no other way. One that fails,
//!   panics or is dropped holds its partition: nothing at or behind its offset is ever acknowledged,
//!   and `recv` or [`run`](Runner::run) says so. What is done then is [`OnFailure`]'s choice. The
//!   records of a [`Batch`] succeed or fail as one.
//! - A producer can't send without its context: there is no way to `rdkafka`'s own.
//!
//! # Spans
//!
//! | name | kind | from, to | ends |
//! |---|---|---|---|
//! | `send {topic}` | PRODUCER | the send, the broker's answer | Error when it is refused |
//! | `create {topic}` | PRODUCER | where a record is [created](FutureProducer::create) to be sent later | at once |
//! | `send {topic}` of such a record | CLIENT, linked to its creation | as above | as above |
//! | `process {topic}` | CONSUMER, child of the send | the handler | Error when it fails or panics, `error.type=cancelled` when it is dropped |
//! | `process {topic}` of a batch | CONSUMER, child of whatever is current, linked to each send | the handler | the same |
//! | `link {topic}` | INTERNAL, child of the span above | at once | holds the links that have no room there |
//! | `commit {topic}` | CLIENT | [`commit`](StreamConsumer::commit) and its like; not what librdkafka or a runner commits by itself | Error when it is refused; of `CommitMode::Async` only that it was asked for: the answer comes to [`Hooks::commit_callback`], and a refusal to the log |
//!
//! Names and attributes follow the [semantic conventions for Kafka][semconv]. Whatever is current
//! where a record is processed is linked to; [`creation_context`](StreamConsumer::creation_context)
//! turns that round. A further try of a record, or of a batch, has a span of
//! its own with `throughline.attempt`, linked to that of the first; so has a dead letter's.
//!
//! A record's span tells topic, partition, offset, group and client id, a tombstone, and
//! `throughline.message.age`: how many milliseconds ago it was sent when its processing began (of a
//! batch, its oldest). `server.address` is told where `bootstrap.servers` is one host: of several none
//! is the one that a record comes from. Keys are told only after `capture_keys(true)`, since they can
//! be personal. `OTEL_SEMCONV_STABILITY_OPT_IN=messaging/dup` adds
//! [the older names](throughline_core::stability).
//!
//! # Metrics
//!
//! With a provider of meters, global or by `with_meter_provider`, every record is measured, sampled or
//! not: `messaging.client.operation.duration` of sends and commits, `messaging.client.sent.messages`,
//! `messaging.process.duration`, and `messaging.client.consumed.messages`, in which a record counts
//! once however often it is tried. They are told apart by operation, topic, group, server and
//! `error.type`. Partitions, of which there may be thousands, are on spans alone.
//!
//! # Headers
//!
//! A record carries `traceparent`, `tracestate` and `baggage` as headers. On the way in the last one
//! of a name holds, as in Kafka's own clients; on the way out those that are there are replaced,
//! unless a record brings [a creation context](FutureProducer#creation-contexts) of its own.
//! Names that aren't UTF-8 harm nobody here: `rdkafka`'s own iterator panics on them.
//!
//! # TLS and SASL
//!
//! librdkafka is built with as little as possible, and refuses `security.protocol=ssl`. What it is to
//! have besides is told by features of `rdkafka`, in the dependencies of the service itself, in the
//! version that [`rdkafka`] has here:
//!
//! ```toml
//! rdkafka = { version = "0.39", default-features = false, features = ["ssl"] } # or ssl-vendored, gssapi, zstd, …
//! ```
//!
//! # Before it is dropped
//!
//! librdkafka waits, when a consumer closes, for every
//! [`TopicPartitionList`](rdkafka::TopicPartitionList) that was used with it. The methods here take
//! copies and return plain [`TopicPartition`]s, so none of them can make a consumer hang. One that
//! you use with the native [`client`](StreamConsumer::client) must be gone by then.
//!
//! [semconv]: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
// Not `forbid`: the one module that needs `unsafe` is `raw`.
#![deny(unsafe_code)]

mod consumer;
mod error;
mod extract;
mod headers;
mod inject;
mod process;
mod producer;
mod quiet;
mod raw;
mod settings;

pub use consumer::{
    BatchRunner, Closer, Counts, DeadLetter, DefaultHooks, HookedContext, Hooks, OnFailure,
    Rebalance, Runner, StreamConsumer, TopicPartition, offsets_of,
};
pub use error::{Error, Failed, Reason};
pub use headers::{Header, Headers, append_header};
pub use process::{Batch, Delivery, Message, OwnedBatch, OwnedDelivery, OwnedMessage};
pub use producer::{
    BaseProducer, DeliveryFuture, ForwardError, FutureProducer, ThreadedProducer, TracedContext,
    TracedProducerContext,
};
/// The library underneath, in the version that is used here.
pub use rdkafka;
/// Whether a record continues its sender's trace, or is linked to it.
pub use throughline_core::messaging::CreationContext;
