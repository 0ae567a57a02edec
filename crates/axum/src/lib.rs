//! Trace context across an axum router, with the matched route as the name of the span.
#![forbid(unsafe_code)]
