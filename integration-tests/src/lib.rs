//! What needs real brokers and collectors, or whole processes: helpers for the tests in `tests/`,
//! and the [`ledger`].
//!
//! `native/stack run -- cargo test -p integration-tests` runs everything. Without the stack, what
//! needs it says so and is left out; the rest runs on embedded parts.
#![forbid(unsafe_code)]

pub mod jaeger;
pub mod ledger;

/// Where the real broker is, or `None`, and a line that says so.
///
/// # Panics
///
/// Where `THROUGHLINE_NATIVE=required` promises a broker that isn't there: CI must not skip in
/// silence.
#[must_use]
pub fn native(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.trim().is_empty());
    if value.is_none() {
        assert!(
            std::env::var("THROUGHLINE_NATIVE").as_deref() != Ok("required"),
            "{variable} is not set, and the native stack is required"
        );
        eprintln!(
            "LEFT OUT: {variable} is not set. To run this test: \
             integration-tests/native/stack run -- cargo test -p integration-tests"
        );
    }
    value
}
