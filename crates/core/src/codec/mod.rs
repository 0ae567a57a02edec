//! Codecs: from bytes to a context's parts and back, strictly.
//!
//! They are total (no input panics), allocate only what is kept, and never repair what is broken:
//! what the specification calls invalid is refused with the reason.

pub mod baggage;
pub mod traceparent;
pub mod tracestate;

/// Cuts off optional white space (RFC 9110: space and tab) at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
