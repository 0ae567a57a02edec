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

use std::borrow::Cow;
use std::fmt;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, Value};

use crate::semconv::{self, replaced};

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

/// A mark in a context: whatever starts a trace there does so on purpose.
///
/// For code that makes spans of its own and knows nothing of Throughline: a job of a scheduler, a
/// consumer of a queue that has no boundary yet. [`spawn_linked`][spawn_linked] and
/// [`Config::root`](crate::Config::root) need no mark.
///
/// ```
/// use opentelemetry::Context;
/// use throughline_core::root::Declared;
///
/// let nightly = Declared::new("nightly").mark(&Context::current());
/// let _attached = nightly.attach();
/// // A span that is started here may be a root.
/// ```
///
/// [spawn_linked]: https://docs.rs/throughline-task/latest/throughline_task/fn.spawn_linked.html
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared(Cow<'static, str>);

impl Declared {
    /// A mark of this name, which becomes the value of
    /// [`throughline.root`](semconv::THROUGHLINE_ROOT).
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Declared(name.into())
    }

    /// `context`, marked.
    #[must_use]
    pub fn mark(self, context: &Context) -> Context {
        context.with_value(self)
    }

    /// The mark of a context.
    #[must_use]
    pub fn of(context: &Context) -> Option<&Self> {
        context.get()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        self.0.clone()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a, const N: usize>(
        kind: Kind,
        attributes: [(&'a str, Attribute<'a>); N],
    ) -> Facts<'a> {
        Facts::new(kind, attributes)
    }

    const EXPECTED: (&str, Attribute<'_>) =
        (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Bool(true));

    #[test]
    fn inbound_roots_are_allowed_until_a_parent_is_expected() {
        for kind in [Kind::Server, Kind::Consumer] {
            assert_eq!(facts(kind, []).judge(), Verdict::Allowed(Allowed::Inbound));
            assert_eq!(facts(kind, [EXPECTED]).judge(), Verdict::Orphan);
            let not_expected = (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Bool(false));
            assert_eq!(facts(kind, [not_expected]).judge(), Verdict::Allowed(Allowed::Inbound));
            let stringly = (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Str("true"));
            assert_eq!(facts(kind, [stringly]).judge(), Verdict::Orphan);
        }
    }

    #[test]
    fn other_roots_are_orphans_unless_declared() {
        let declared = (semconv::THROUGHLINE_ROOT, Attribute::Str("nightly"));
        for kind in [Kind::Internal, Kind::Client, Kind::Producer] {
            assert_eq!(facts(kind, []).judge(), Verdict::Orphan, "{kind}");
            assert_eq!(facts(kind, [declared]).judge(), Verdict::Allowed(Allowed::Declared));
            for not in [Attribute::Bool(false), Attribute::Str("false")] {
                let not = (semconv::THROUGHLINE_ROOT, not);
                assert_eq!(facts(kind, [not]).judge(), Verdict::Orphan, "{kind} {not:?}");
            }
        }
    }

    #[test]
    fn only_clients_that_receive_or_settle_are_roots() {
        for (operation, kind, allowed) in [
            ("receive", Kind::Client, true),
            ("settle", Kind::Client, true),
            ("send", Kind::Client, false),
            ("create", Kind::Producer, false),
            ("receive", Kind::Internal, false),
        ] {
            let operation = (semconv::MESSAGING_OPERATION_TYPE, Attribute::Str(operation));
            let verdict = facts(kind, [operation]).judge();
            assert_eq!(
                verdict == Verdict::Allowed(Allowed::ReceiveOrSettle),
                allowed,
                "{kind} {operation:?}"
            );
        }
    }

    #[test]
    fn the_class_follows_the_conventions_of_an_inbound_span() {
        let http = (semconv::HTTP_REQUEST_METHOD, Attribute::Str("POST"));
        let grpc = (semconv::RPC_SYSTEM_NAME, Attribute::Str("grpc"));
        let kafka = (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str("kafka"));
        let sqs = (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str("aws.sqs"));
        assert_eq!(facts(Kind::Server, [http]).class(), Class::Http);
        assert_eq!(facts(Kind::Server, [http, grpc]).class(), Class::Grpc);
        assert_eq!(facts(Kind::Consumer, [kafka]).class(), Class::Kafka);
        assert_eq!(facts(Kind::Consumer, [sqs]).class(), Class::Sqs);
        assert_eq!(facts(Kind::Server, []).class(), Class::Task);
        for kind in [Kind::Internal, Kind::Client, Kind::Producer] {
            assert_eq!(facts(kind, [http, kafka]).class(), Class::Task, "{kind}");
        }
    }

    #[test]
    fn a_consumer_came_by_its_message_and_not_by_the_poll_that_brought_it() {
        let http = (semconv::HTTP_REQUEST_METHOD, Attribute::Str("POST"));
        let grpc = (semconv::RPC_SYSTEM_NAME, Attribute::Str("grpc"));
        let of = |system| (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str(system));
        assert_eq!(facts(Kind::Consumer, [http, of("aws.sqs")]).class(), Class::Sqs);
        assert_eq!(facts(Kind::Consumer, [grpc, of("kafka")]).class(), Class::Kafka);
        assert_eq!(facts(Kind::Consumer, [grpc, of("gcp_pubsub")]).protocol(), None);
        assert_eq!(facts(Kind::Consumer, [http]).class(), Class::Http);
        // Whom a queue calls is called.
        assert_eq!(facts(Kind::Server, [http, of("aws.sqs")]).class(), Class::Http);
    }

    /// As the instrumentation of other languages, and proxies, have them still.
    #[test]
    fn spans_of_others_are_judged_by_names_that_were_replaced() {
        let method = (replaced::HTTP_METHOD, Attribute::Str("POST"));
        let grpc = (replaced::RPC_SYSTEM, Attribute::Str("grpc"));
        let of = |system| (replaced::MESSAGING_SYSTEM, Attribute::Str(system));
        assert_eq!(facts(Kind::Server, [method]).class(), Class::Http);
        assert_eq!(facts(Kind::Server, [grpc]).class(), Class::Grpc);
        assert_eq!(facts(Kind::Consumer, [of("kafka")]).class(), Class::Kafka);
        assert_eq!(facts(Kind::Consumer, [of("aws_sqs")]).class(), Class::Sqs);
        let receive = (replaced::MESSAGING_OPERATION, Attribute::Str("receive"));
        let verdict = facts(Kind::Client, [receive]).judge();
        assert_eq!(verdict, Verdict::Allowed(Allowed::ReceiveOrSettle));
    }

    #[test]
    fn facts_come_from_the_attributes_a_sampler_sees() {
        let seen = [
            opentelemetry::KeyValue::new(semconv::HTTP_REQUEST_METHOD, "GET"),
            opentelemetry::KeyValue::new(semconv::SERVER_PORT, 8080),
            opentelemetry::KeyValue::new(semconv::THROUGHLINE_PARENT_EXPECTED, true),
        ];
        let facts = Facts::new(
            Kind::from(&SpanKind::Server),
            seen.iter().map(|kv| (kv.key.as_str(), Attribute::from(&kv.value))),
        );
        assert_eq!((facts.judge(), facts.class()), (Verdict::Orphan, Class::Http));
    }
}
