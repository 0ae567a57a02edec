//! The parts around a service, embedded: they need nothing but Cargo.

#[cfg(feature = "embedded-collector")]
mod collector;
#[cfg(feature = "embedded-collector")]
mod decode;
#[cfg(feature = "embedded-kafka")]
mod kafka;
#[cfg(feature = "embedded-sqs")]
pub mod sqs;

#[cfg(feature = "embedded-collector")]
pub use collector::{Collector, CollectorError};
#[cfg(feature = "embedded-kafka")]
pub use kafka::{Kafka, KafkaError, KafkaRequest};
#[cfg(feature = "embedded-sqs")]
pub use sqs::{Sqs, SqsError};
