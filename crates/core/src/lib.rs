//! The Context Law: carriers, codecs, propagation, trust and the boundary span every Throughline
//! crate is built from.
#![forbid(unsafe_code)]

pub mod root;
pub mod semconv;
