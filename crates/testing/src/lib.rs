//! Recorder, assertions and the conformance battery for trace context, and embedded parts for tests.
#![forbid(unsafe_code)]
