//! What a boundary makes of a context that somebody else sent.

/// How far the sender of a message is trusted with the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// The trace goes on: the sender's span becomes the parent, its sampling decision and its
    /// baggage hold. For callers inside.
    #[default]
    Continue,
    /// A new trace begins, linked to the sender's. The sampler decides anew and the baggage is
    /// dropped, but for what is [admitted](crate::Config::admit_baggage), so that nobody outside
    /// decides what is stored here. For a public edge.
    Link,
    /// A new trace begins, as if nothing had come.
    Ignore,
}

/// What goes along with a message to somebody: the other side of [`Trust`].
///
/// Ordered from the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Propagate {
    /// Neither trace nor baggage: he shouldn't even know the ids.
    Nothing,
    /// The trace, and no baggage: for third parties. Baggage holds what the services inside tell
    /// each other, of users and tenants.
    TraceOnly,
    /// Trace and baggage. For services inside.
    #[default]
    All,
}
