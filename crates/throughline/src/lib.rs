//! Throughline
#![forbid(unsafe_code)]
