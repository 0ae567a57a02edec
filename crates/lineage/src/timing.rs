//! Where the time went, and where it went wrong.

use std::cmp::Reverse;
use std::time::Duration;

use crate::forest::{Node, Trace};
use crate::span::Status;

impl Node<'_> {
    /// The time during which none of its children ran.
    ///
    /// Children count only as far as they lie within it: one that outlived it, or seems to have
    /// started before it by another host's clock, takes no more than there is.
    #[must_use]
    pub fn self_time(self) -> Duration {
        let span = self.span();
        let (mut at, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        let mut own = 0;
        // Children come by their start, so that one sweep finds every gap between them.
        for child in self.children() {
            let child = child.span();
            own += child.start_time_unix_nano.min(end).saturating_sub(at);
            // A clock that was set back during the child may end it before its start.
            at = at.max(child.start_time_unix_nano).max(child.end_time_unix_nano);
        }
        Duration::from_nanos(own + end.saturating_sub(at))
    }
}

impl Trace {
    /// The span with the longest self time; the first of several.
    #[must_use]
    pub fn slowest(&self) -> Option<Node<'_>> {
        self.nodes().filter(|node| !node.self_time().is_zero()).min_by_key(|node| {
            (Reverse(node.self_time()), node.span().start_time_unix_nano, node.depth())
        })
    }

    /// The failed span that stands deepest, which is as near to the cause as the trace leads;
    /// the first of several.
    #[must_use]
    pub fn deepest_failure(&self) -> Option<Node<'_>> {
        self.nodes()
            .filter(|node| matches!(node.span().status, Status::Error(_)))
            .min_by_key(|node| (Reverse(node.depth()), node.span().start_time_unix_nano))
    }
}
