//! Spans in, trees and a verdict out: which trace is broken, where, and by which boundary.
//!
//! The spans come from anywhere: from a file that the Collector's file exporter wrote
//! ([`otlp::read`]), or made of another crate's spans ([`Span::new`]). They are built into
//! [`Trace`]s, which print as trees, and judged by nothing but themselves: no list of services and
//! no map of their calls is asked for, so a verdict is the same wherever it is passed.
//!
//! ```
//! use throughline_lineage::{Class, Forest, Kind, Settings, Span, otlp};
//!
//! // What a server makes of a request that should have carried a context, and carried none.
//! let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
//! let mut server = Span::new(trace_id, "00f067aa0ba902b7".parse()?, "POST /orders");
//! server.kind = Kind::Server;
//! server.attributes.push("http.request.method", "POST");
//! server.attributes.push("throughline.parent.expected", true);
//! let mut work = Span::new(trace_id, "53995c3f42cd8ad8".parse()?, "reserve");
//! work.parent = Some(server.span_id);
//!
//! // Through a file and back; any order will do.
//! let mut file = Vec::new();
//! otlp::write(&mut file, [&work, &server])?;
//! let forest = Forest::new(otlp::read(file.as_slice())?);
//! for trace in forest.traces() {
//!     print!("{trace}");
//!     assert_eq!(trace.outline(), "POST /orders server\n  reserve internal\n");
//! }
//!
//! let verdict = forest.judge(&Settings::complete());
//! print!("{verdict}");
//! assert!(!verdict.is_unbroken());
//! assert_eq!(verdict.breaks[0].class, Class::Http);
//! assert_eq!(verdict.breaks[0].replacement, Some("throughline::reqwest::ClientMiddleware"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Traces and verdicts serialise with serde, too, for programs.
#![forbid(unsafe_code)]

mod forest;
mod id;
mod json;
pub mod otlp;
mod print;
mod process;
mod span;
mod text;
mod timing;
mod value;
mod verdict;
mod wire;

pub use forest::{Forest, Node, Top, Trace};
pub use id::{IdError, SpanId, TraceId};
pub use span::{Event, Link, Resource, Scope, Span, Status};
pub use text::escape;
pub use throughline_core::root::{Class, Kind};
pub use value::{AnyValue, Attributes};
pub use verdict::{Answer, Break, Settings, Summary, Verdict, replacement};
