//! Spans in, trees and a verdict out: which trace is broken, where, and by which boundary.
#![forbid(unsafe_code)]

mod forest;
mod id;
mod json;
pub mod otlp;
mod process;
mod span;
mod timing;
mod value;
mod verdict;
mod wire;

pub use forest::{Forest, Node, Top, Trace};
pub use id::{IdError, SpanId, TraceId};
pub use span::{Event, Link, Resource, Scope, Span, Status};
pub use throughline_core::root::{Class, Kind};
pub use value::{AnyValue, Attributes};
pub use verdict::{Answer, Break, Settings, Summary, Verdict, replacement};
