//! The one judgement of roots: which span may stand at the top of a trace.
//!
//! A span without a parent is either one on purpose or the mark of a lost context. The guard
//! that watches a running service and the verdict over received spans must not disagree on
//! which it is, so both ask here: they gather [`Facts`] from the span's kind and attributes,
//! and [`Facts::judge`] answers. [`Facts::class`] names the boundary that lost the context.
//!
//! ```
//! use throughline_core::root::{Attribute, Class, Facts, Kind, Verdict};
//! use throughline_core::semconv;
//!
//! let edge = [(semconv::HTTP_REQUEST_METHOD, Attribute::Str("POST"))];
//! assert!(matches!(Facts::new(Kind::Server, edge).judge(), Verdict::Allowed(_)));
//!
//! let inside = [edge[0], (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Bool(true))];
//! let facts = Facts::new(Kind::Server, inside);
//! assert_eq!(facts.judge(), Verdict::Orphan);
//! assert_eq!(facts.class(), Class::Http);
//! ```

mod declared;
#[cfg(test)]
mod tests;

use std::fmt;

use opentelemetry::Value;
use opentelemetry::trace::SpanKind;

use crate::semconv::{self, replaced};

pub use declared::Declared;

/// The kind of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Work inside a service.
    #[default]
    Internal,
    /// A request answered.
    Server,
    /// A request made, or messages received and settled.
    Client,
    /// A message made or sent.
    Producer,
    /// A message processed.
    Consumer,
}

impl Kind {
    /// The kind as it is shown to people: one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// Whether a span of this kind takes in what somebody else sent.
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&SpanKind> for Kind {
    fn from(kind: &SpanKind) -> Self {
        match kind {
            SpanKind::Internal => Self::Internal,
            SpanKind::Server => Self::Server,
            SpanKind::Client => Self::Client,
            SpanKind::Producer => Self::Producer,
            SpanKind::Consumer => Self::Consumer,
        }
    }
}

/// As much of an attribute's value as the judgement looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// A boolean.
    Bool(bool),
    /// A string.
    Str(&'a str),
    /// A value of any other type: only that it is there counts.
    Other,
}

impl<'a> Attribute<'a> {
    fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(value) => Some(value),
            Self::Bool(_) | Self::Other => None,
        }
    }

    /// Some backends turn every attribute into a string on the way.
    fn is_true(self) -> bool {
        matches!(self, Self::Bool(true) | Self::Str("true"))
    }

    fn is_false(self) -> bool {
        matches!(self, Self::Bool(false) | Self::Str("false"))
    }
}

impl<'a> From<&'a Value> for Attribute<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(value) => Self::Str(value.as_str()),
            _ => Self::Other,
        }
    }
}

/// What the judgement needs to know of a span, gathered without allocating.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    kind: Kind,
    declared: bool,
    parent_expected: bool,
    http: bool,
    rpc_system: Option<&'a str>,
    messaging_system: Option<&'a str>,
    messaging_operation: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// Gathers the facts in one pass over a span's attributes, those it has at its start.
    #[must_use]
    pub fn new(kind: Kind, attributes: impl IntoIterator<Item = (&'a str, Attribute<'a>)>) -> Self {
        let mut facts = Self {
            kind,
            declared: false,
            parent_expected: false,
            http: false,
            rpc_system: None,
            messaging_system: None,
            messaging_operation: None,
        };
        for (name, value) in attributes {
            match name {
                semconv::THROUGHLINE_ROOT => facts.declared = !value.is_false(),
                semconv::THROUGHLINE_PARENT_EXPECTED => facts.parent_expected = value.is_true(),
                semconv::HTTP_REQUEST_METHOD | replaced::HTTP_METHOD => facts.http = true,
                semconv::RPC_SYSTEM_NAME | replaced::RPC_SYSTEM => {
                    facts.rpc_system = value.as_str();
                }
                semconv::MESSAGING_SYSTEM_NAME | replaced::MESSAGING_SYSTEM => {
                    facts.messaging_system = value.as_str();
                }
                semconv::MESSAGING_OPERATION_TYPE | replaced::MESSAGING_OPERATION => {
                    facts.messaging_operation = value.as_str();
                }
                _ => {}
            }
        }
        facts
    }

    /// Whether this span has lost the sender of its message, though it has a parent: it is linked to
    /// senders in place of being their child, and one that was expected brought no context.
    #[must_use]
    pub fn lacks_sender(&self) -> bool {
        self.kind == Kind::Consumer && self.parent_expected && !self.declared
    }

    /// Whether this span, which has no parent, may be a root.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        if self.declared {
            return Verdict::Allowed(Allowed::Declared);
        }
        match self.kind {
            Kind::Server | Kind::Consumer if !self.parent_expected => {
                Verdict::Allowed(Allowed::Inbound)
            }
            // A poll comes before the message whose context it could continue.
            Kind::Client if matches!(self.messaging_operation, Some("receive" | "settle")) => {
                Verdict::Allowed(Allowed::ReceiveOrSettle)
            }
            Kind::Internal | Kind::Server | Kind::Client | Kind::Producer | Kind::Consumer => {
                Verdict::Orphan
            }
        }
    }

    /// The protocol an inbound span came in by; `None` if the span is not inbound, or speaks a
    /// protocol that has no class.
    #[must_use]
    pub fn protocol(&self) -> Option<Class> {
        if !self.kind.is_inbound() {
            return None;
        }
        // By whichever call a consumer has fetched its message, and it may tell of that, too.
        if self.kind == Kind::Consumer && self.messaging_system.is_some() {
            return self.messaging_class();
        }
        // gRPC is carried by HTTP, so a span may well tell of both.
        if self.rpc_system == Some("grpc") {
            return Some(Class::Grpc);
        }
        if self.http {
            return Some(Class::Http);
        }
        self.messaging_class()
    }

    fn messaging_class(&self) -> Option<Class> {
        match self.messaging_system {
            Some("kafka") => Some(Class::Kafka),
            // The second as it was called before.
            Some("aws.sqs" | "aws_sqs") => Some(Class::Sqs),
            _ => None,
        }
    }

    /// The class of the break that made this span an orphan, as far as the span alone tells.
    ///
    /// Never [`Class::Process`]: that takes the sight of two processes.
    #[must_use]
    pub fn class(&self) -> Class {
        self.protocol().unwrap_or(Class::Task)
    }
}

/// The answer to whether a span may be a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and this is why.
    Allowed(Allowed),
    /// It may not: somebody lost the context.
    Orphan,
}

/// Why a root is one rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Something came in from outside, where no parent was expected.
    Inbound,
    /// It was declared to be one (`spawn_linked`, a job).
    Declared,
    /// It receives or settles messages, which happens before and after their processing.
    ReceiveOrSettle,
}

/// The boundary at which a context was lost, or crossed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// An HTTP request.
    Http,
    /// A gRPC call.
    Grpc,
    /// A Kafka message.
    Kafka,
    /// An SQS message.
    Sqs,
    /// The start of a child process.
    Process,
    /// The way out of a task: a spawn, a thread, a channel.
    Task,
}

impl Class {
    /// Every class, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Grpc, Self::Kafka, Self::Sqs, Self::Process, Self::Task];

    /// The name of the class: one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Kafka => "kafka",
            Self::Sqs => "sqs",
            Self::Process => "process",
            Self::Task => "task",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
