//! The parts around a service, embedded: they need nothing but Cargo.

mod collector;
mod decode;

pub use collector::{Collector, CollectorError};
