//! Traces as they should be, written as indented text.
//!
//! ```
//! use throughline_testing::lineage::{Kind, Span};
//! use throughline_testing::tree::check_tree;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
//! let mut order = Span::new(trace, "00f067aa0ba902b7".parse()?, "POST /orders");
//! order.kind = Kind::Server;
//! let mut reserve = Span::new(trace, "53995c3f42cd8ad8".parse()?, "reserve");
//! reserve.parent = Some(order.span_id);
//!
//! let expected = "
//!     SERVER POST /orders
//!       CLIENT POST !error
//! ";
//! let difference = check_tree(&[order, reserve], expected).unwrap_err();
//! assert_eq!(
//!     difference.to_string(),
//!     "the traces are not as expected (- is missing, + should not be there):
//!   SERVER POST /orders
//! -   CLIENT POST !error
//! +   INTERNAL reserve
//! "
//! );
//! # Ok(()) }
//! ```
//!
//! # A line a span
//!
//! The kind in capitals, the name, and what else matters, in any order:
//!
//! | written | means |
//! |---|---|
//! | `!error` | its status is Error; without it, it isn't |
//! | `!error(disk full)` | its status is Error, with this description |
//! | `!ok` | its status is Ok, which few spans need |
//! | `[orders]` | it comes from this service |
//! | `{http.route=/orders, error.type=*}` | it has these attributes; `*` is any value |
//! | `~(POST /orders)` | it is linked to a span of this name; without it, to none |
//! | `~(elsewhere)` | it is linked to a span that isn't there |
//! | `(parent missing)` | its parent was in the same process, and isn't there |
//!
//! A span stands under its parent, by two more spaces. Lines at the margin are the tops of traces:
//! roots, and spans whose parent is remote and was not recorded, because the test itself was the
//! caller. Two lines at the margin may be two traces, or one that is in pieces. Siblings are
//! compared in any order: who starts first is chance wherever two run at once. Blank lines are
//! left out.

mod compare;
mod expected;

use throughline_lineage::{Forest, Span};

use expected::Expected;

/// Why spans don't have an expected shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The expected tree can't be read.
    #[error("line {line} of the expected tree, `{text}`: {reason}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// The line itself.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The traces differ; here is how, line by line.
    #[error("the traces are not as expected (- is missing, + should not be there):\n{0}")]
    Different(String),
}

/// Compares all traces of `spans` with the text, as [told above](self#a-line-a-span).
///
/// # Errors
///
/// [`TreeError::Different`] with the difference, [`TreeError::Malformed`] for a text that can't be
/// read.
pub fn check_tree(spans: &[Span], expected: &str) -> Result<(), TreeError> {
    let expected = Expected::parse(expected)?;
    let forest = Forest::new(spans.iter().cloned());
    compare::difference(&expected, &forest).map_or(Ok(()), |text| Err(TreeError::Different(text)))
}

/// Asserts that all traces of `spans` are as the text says, as [told above](self#a-line-a-span).
///
/// # Panics
///
/// When they are not, with the difference.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion")]
pub fn assert_tree(spans: &[Span], expected: &str) {
    if let Err(error) = check_tree(spans, expected) {
        panic!("{error}");
    }
}
