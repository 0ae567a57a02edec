//! Trace context through Amazon SQS: one [`Interceptor`] on the ordinary client of
//! [`aws_sdk_sqs`], and every message carries the trace of whoever sends it.
//!
//! ```no_run
//! use aws_sdk_sqs::config::Builder;
//! use throughline_sqs::Interceptor;
//!
//! # async fn run(sdk_config: aws_types::SdkConfig) -> Result<(), aws_sdk_sqs::Error> {
//! // `aws_config::load_from_env().await`, for one.
//! let config = Builder::from(&sdk_config).interceptor(Interceptor::new()).build();
//! let sqs = aws_sdk_sqs::Client::from_conf(config);
//! let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
//! sqs.send_message().queue_url(url).message_body("{}").send().await?;
//! # Ok(()) }
//! ```
//!
//! A [`Queue`] reads one, and handles each message in the trace that it came with:
//!
//! ```no_run
//! use throughline_sqs::{Error, OwnedMessage, Queue};
//!
//! # async fn handle(_: OwnedMessage) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn run(sqs: aws_sdk_sqs::Client, url: String) -> Result<(), Error> {
//! Queue::new(sqs, url).runner().concurrency(8).run(handle).await // deleted after Ok
//! # }
//! ```
//!
//! A client that is configured by `aws-config` has all that it needs. One that is built without, by
//! `aws_sdk_sqs::config::Builder::new()`, panics unless `aws-sdk-sqs` is among the service's own
//! dependencies with the features `behavior-version-latest`, `rt-tokio` and `default-https-client`: the
//! re-exported one has none of them turned on.
//!
//! # What can't be forgotten
//!
//! - A [`Delivery`] shows which message it is. Its body and attributes are given up only inside
//!   [`process`](Delivery::process), where its trace is current. One is made of any message that was
//!   received, by a client of your own or (feature `lambda`) in an event of AWS Lambda.
//! - A message of a queue is deleted when its handler has succeeded, and in no other way: its receipt is
//!   given to nobody. While it is here nobody else gets it, even if its handler takes longer than the
//!   visibility timeout or blocks its thread, for the twelve hours that SQS allows. One that fails,
//!   panics or is dropped comes again, until the queue's redrive policy takes it, trace and all.
//! - The order of a FIFO queue's groups holds in a [`Runner`], whatever fails, until the queue's redrive
//!   policy takes a message out of it.
//!
//! # Spans
//!
//! | name | kind | when | ends |
//! |---|---|---|---|
//! | `send {queue}` | PRODUCER | `SendMessage` | Error when it is refused |
//! | `create {queue}` | PRODUCER | each entry of `SendMessageBatch` | Error when this entry is refused |
//! | `send {queue}` | CLIENT, linked to each `create` | `SendMessageBatch` | Error when an entry is refused, or all |
//! | `receive {queue}` | CLIENT, linked to each message | `ReceiveMessage` that brings messages, or fails | |
//! | `process {queue}` | CONSUMER, child of the `send` or `create`, or [linked](CreationContext) to it | a [`Delivery`]'s handler | Error when it fails or panics, `error.type=cancelled` when it is dropped |
//! | `delete {queue}`, `change_visibility {queue}` | CLIENT | these, and their batches | Error when an entry is refused, or all |
//!
//! A call that the SDK tries again is one span. A call whose future is dropped is `cancelled`. An empty
//! poll, and one that was dropped, is none. Names and attributes follow the
//! [semantic conventions for SQS][semconv].
//!
//! # Metrics
//!
//! Wherever there is a provider of meters, of every call, sampled or not:
//!
//! | metric | of |
//! |---|---|
//! | `messaging.client.operation.duration` | each call that would have a span: once for a batch, and not for an empty poll |
//! | `messaging.client.sent.messages` | messages that were sent, or were tried to be: those that were refused with an `error.type` |
//! | `messaging.client.consumed.messages` | messages that came |
//! | `messaging.process.duration` | each message that is processed |
//!
//! # How the context travels
//!
//! As the message attributes `traceparent`, `tracestate` and `baggage`, in this order, as long as the
//! message has room. SQS refuses a message with more than ten attributes, one with an empty value, and
//! one or a batch that is too long: no send is ever refused because of its trace. Where there is no
//! room for a `traceparent`, the system attribute `AWSTraceHeader` takes its place, which counts toward
//! nothing ([`TraceHeader`]). Where that isn't written either (SNS has none) the trace ends: it is counted
//! as one that had [no room](throughline_core::Outcomes::no_room), and told in the log once a minute at
//! most. The user's own attributes stay as they are. Content-based deduplication looks at bodies only.
//!
//! [`ReceiveMessage`](aws_sdk_sqs::Client::receive_message) is asked for these names, beside those
//! that the caller asks for; and for the time at which a message was sent, the count of its receives and
//! its group.
//!
//! # A message that has a context
//!
//! | what it has | what becomes of it |
//! |---|---|
//! | that of the message which is handled here, as a handler forwards it; or the current one, put in by hand | replaced by that of the send, which belongs under what is current |
//! | one that isn't valid | replaced |
//! | any other: what an outbox has kept, a message that is driven back, a `create` span of your own | kept, with all that goes along; the `send` span is CLIENT and links to it, and there is no `create` span. Where nothing is current, that of one message is its child, too; that of a batch, all of whose entries have one, is a root on purpose (`throughline.root`), since no message of a batch can be its parent |
//!
//! An attribute `baggage` beside no `traceparent` is the user's own.
//!
//! [semconv]: https://opentelemetry.io/docs/specs/semconv/messaging/sqs/
#![forbid(unsafe_code)]

mod envelope;
mod error;
mod extract;
mod inject;
#[cfg(feature = "lambda")]
pub mod lambda;
mod process;
mod queue;
mod room;
mod settings;

/// The library underneath, in the version that is used here.
pub use aws_sdk_sqs;
pub use error::{Error, NotDeleted};
pub use process::{Deliveries, Delivery, Interceptor, Message, OwnedMessage};
pub use queue::{Queue, Runner};
pub use settings::TraceHeader;
/// Whether a message continues its sender's trace, or is linked to it.
pub use throughline_core::messaging::CreationContext;
