//! Trace context across any tower HTTP service: extract, process to the end of the body, never twice.
#![forbid(unsafe_code)]
