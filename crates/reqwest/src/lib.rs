//! Trace context out of a reqwest client, through one middleware.
#![forbid(unsafe_code)]
