//! Throughline keeps a distributed trace in one piece across every boundary a Rust service has.
//!
//! Work in progress.
#![forbid(unsafe_code)]

pub use opentelemetry;
pub use throughline_core as core;
pub use throughline_core::{Boundary, Trust, boundary};

#[cfg(feature = "axum")]
pub use throughline_axum as axum;
#[cfg(feature = "lineage")]
pub use throughline_lineage as lineage;
#[cfg(feature = "reqwest")]
pub use throughline_reqwest as reqwest;
#[cfg(feature = "task")]
pub use throughline_task as task;
#[cfg(feature = "telemetry")]
pub use throughline_telemetry as telemetry;
#[cfg(feature = "tower")]
pub use throughline_tower as tower;
