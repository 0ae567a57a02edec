//! How long messages take: measured of every one, sampled or not.
//!
//! A boundary starts a [`Measure`] beside the span of a message and gives it to
//! [`BoundarySpan::measured`](crate::BoundarySpan::measured): it ends where the span does, once,
//! and where there is no span as well. What it is labelled with comes from sets that are bounded,
//! whoever calls: known methods, routes of the router, the hosts that a program calls, status codes.
//!
//! Nothing is measured until there is a provider of meters: one that the boundary was
//! [given](crate::Config::with_meter_provider), or OpenTelemetry's global one.

mod bound;
mod hosts;
mod instruments;
mod labels;
mod measure;

pub(crate) use bound::{BoundMeter, look};
pub use instruments::Operation;
pub use labels::Labels;
pub(crate) use measure::Direction;
pub use measure::Measure;
