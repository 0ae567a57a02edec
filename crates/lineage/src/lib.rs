//! Spans in, trees and a verdict out: which trace is broken, where, and by which boundary.
#![forbid(unsafe_code)]

mod id;
pub mod otlp;
mod span;
mod value;
mod wire;

pub use id::{IdError, SpanId, TraceId};
pub use span::{Event, Link, Resource, Scope, Span, Status};
pub use throughline_core::root::{Class, Kind};
pub use value::{AnyValue, Attributes};
