//! Trace context through Amazon SQS: one [`Interceptor`] on the ordinary client of
//! [`aws_sdk_sqs`], and every message carries the trace of whoever sends it.
//!
//! ```
//! # fn build(sdk_config: &aws_sdk_sqs::Config) -> aws_sdk_sqs::Client {
//! let config = sdk_config.to_builder().interceptor(throughline_sqs::Interceptor::new());
//! let sqs = aws_sdk_sqs::Client::from_conf(config.build());
//! # sqs
//! # }
//! ```
//!
//! # Spans
//!
//! | name | kind | when | ends |
//! |---|---|---|---|
//! | `send {queue}` | PRODUCER | `SendMessage` | Error when it is refused |
//! | `create {queue}` | PRODUCER | each entry of `SendMessageBatch` | Error when this entry is refused |
//! | `send {queue}` | CLIENT, linked to each `create` | `SendMessageBatch` | Error when an entry is refused, or all |
//! | `receive {queue}` | CLIENT, linked to each message | `ReceiveMessage` that brings messages, or fails | |
//! | `delete {queue}`, `change_visibility {queue}` | CLIENT | these, and their batches | Error when an entry is refused, or all |
//!
//! A call that the SDK tries again is one span. A call whose future is dropped is `cancelled`. An empty
//! poll, and one that was dropped, is none. Names and attributes follow the
//! [semantic conventions for SQS][semconv].
//!
//! # How the context travels
//!
//! As the message attributes `traceparent`, `tracestate` and `baggage`, in this order, as long as the
//! message has room. SQS refuses a message with more than ten attributes, one with an empty value, and
//! one or a batch that is too long: no send is ever refused because of its trace. Where there is no
//! room for a `traceparent`, the system attribute `AWSTraceHeader` takes its place, which counts toward
//! nothing ([`TraceHeader`]). The user's own attributes stay as they are. Content-based deduplication
//! looks at bodies only.
//!
//! [`ReceiveMessage`](aws_sdk_sqs::Client::receive_message) is asked for these names, beside those
//! that the caller asks for.
//!
//! # A message that has a context
//!
//! | what it has | what becomes of it |
//! |---|---|
//! | one of the trace that is current: what a handler forwards, or was put in by hand | replaced by that of the send, which belongs under what is current |
//! | one that isn't valid | replaced |
//! | one of another trace: what an outbox has kept, or a message that is driven back | kept, with all that goes along; the `send` span is CLIENT and links to it, and there is no `create` span |
//!
//! An attribute `baggage` beside no `traceparent` is the user's own.
//!
//! [semconv]: https://opentelemetry.io/docs/specs/semconv/messaging/sqs/
#![forbid(unsafe_code)]

mod envelope;
mod extract;
mod inject;
mod process;
mod settings;

/// The library underneath, in the version that is used here.
pub use aws_sdk_sqs;
pub use process::Interceptor;
pub use settings::TraceHeader;
