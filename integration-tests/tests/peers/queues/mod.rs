//! On the other side of a queue: Python and Java, each with OpenTelemetry's own instrumentation.
//!
//! `docs/queues.md` tells what is seen here.

mod between;
mod java;
mod python;
mod rig;
