//! The Context Law (extract, process, inject): carriers, codecs, propagation, trust and the
//! boundary span that every Throughline crate is built from.
//!
//! Services use the boundary crates; this one is for those who write a boundary. It takes a
//! carrier ([`ReadCarrier`], [`WriteCarrier`]), a [`Config`], and three verbs:
//!
//! ```
//! use opentelemetry::trace::SpanKind;
//! use throughline_core::{Config, Description, End};
//!
//! let config = Config::new("my-protocol", "1.0.0");
//! let headers = vec![(
//!     "traceparent".to_owned(),
//!     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
//! )];
//!
//! let extraction = config.extract(&headers);
//! let mut span = config.receive(extraction, SpanKind::Server, || {
//!     Description::new("handle message", 4)
//! });
//! span.enter(|| {
//!     let mut onward = Vec::<(String, String)>::new();
//!     let call = config.send(SpanKind::Client, || Description::new("call", 4));
//!     config.inject(call.context(), &mut onward);
//!     assert!(onward[0].1.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
//!     call.end(End::Completed);
//! });
//! span.end(End::Completed);
//! ```
#![forbid(unsafe_code)]

pub mod baggage;
pub mod carrier;
pub mod codec;
pub mod http;
pub mod messaging;
pub mod metrics;
pub mod root;
pub mod rpc;
pub mod semconv;
pub mod stability;

mod cache;
mod config;
mod extract;
mod inject;
mod outcome;
mod propagation;
mod setters;
mod span;
mod tracer;
mod trust;

pub use carrier::{ReadCarrier, WriteCarrier};
pub use config::Config;
pub use extract::{Extraction, Sender};
pub use outcome::{Outcome, Outcomes, outcomes};
pub use propagation::{Format, Formats, W3cPropagator, set_propagator};
pub use span::{
    Boundary, BoundarySpan, Description, End, Entered, Failure, HandledRequest, InContext, Process,
    boundary, error_chain, panic_message,
};
pub use tracer::set_tracer_provider;
pub use trust::{Propagate, Trust};
