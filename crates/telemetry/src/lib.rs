//! Start-up for traces and logs: OTLP exporters on a thread of their own, resource, sampling, log
//! correlation, shutdown that loses no span.
#![forbid(unsafe_code)]

mod diag;
mod env;
mod error;
mod export;
mod layer;
mod logs;
mod resource;
mod sampler;

pub use error::{InitError, ShutdownError};
pub use layer::{SpanFilter, otel_layer};
pub use logs::Logs;
