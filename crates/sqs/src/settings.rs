use throughline_core::Config;
use throughline_core::messaging::CreationContext;

/// The most bytes of a message and its attributes, and of all of a batch: 1 MiB.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// What an interceptor was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) trace_header: TraceHeader,
    /// What a message's own context is to the span that processes it.
    pub(crate) creation_context: CreationContext,
    pub(crate) sns_envelopes: bool,
    pub(crate) create_spans: bool,
    pub(crate) max_message_size: usize,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Settings {
            config: Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            trace_header: TraceHeader::default(),
            creation_context: CreationContext::default(),
            sns_envelopes: true,
            create_spans: true,
            max_message_size: MAX_SIZE,
        }
    }
}

/// What the system attribute `AWSTraceHeader` is used for: the format of AWS X-Ray, in which a trace
/// travels beside the attributes of a message. It has no place for `tracestate` and baggage.
///
/// One that the caller has set for another trace is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceHeader {
    /// Nothing: it is neither written, nor asked for, nor read.
    Never,
    /// A message without room for a `traceparent`. It is read where a message has no `traceparent`.
    #[default]
    Fallback,
    /// Each message, beside the attributes: for consumers that know X-Ray only. It is read where a
    /// message has no `traceparent`.
    Always,
    /// The same, and it is read before the `traceparent`: for messages that AWS sends on in a segment
    /// of its own.
    Preferred,
}

impl TraceHeader {
    pub(crate) fn is_read(self) -> bool {
        self != TraceHeader::Never
    }

    pub(crate) fn is_preferred(self) -> bool {
        self == TraceHeader::Preferred
    }

    pub(crate) fn is_always_written(self) -> bool {
        matches!(self, TraceHeader::Always | TraceHeader::Preferred)
    }
}

/// The setters of those who take messages in; beside `throughline_core::config_setters`.
macro_rules! inbound_setters {
    () => {
        /// How far the senders of messages are trusted; [`Trust::Continue`] unless told otherwise.
        /// With [`Trust::Link`] each message begins a trace of its own, linked to its sender's.
        ///
        /// [`Trust::Continue`]: throughline_core::Trust::Continue
        /// [`Trust::Link`]: throughline_core::Trust::Link
        #[must_use]
        pub fn trust(self, trust: throughline_core::Trust) -> Self {
            self.map(|config| config.trust(trust))
        }

        /// Lets these members of baggage in from senders whose trace is not continued; see
        /// [`Config::admit_baggage`](throughline_core::Config::admit_baggage).
        #[must_use]
        pub fn admit_baggage(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.map(|config| config.admit_baggage(keys))
        }

        /// Says that every message comes from a service that sends its context, so that one
        /// without is a break; see
        /// [`Config::expect_parent`](throughline_core::Config::expect_parent).
        #[must_use]
        pub fn expect_parent(self, expect: bool) -> Self {
            self.map(|config| config.expect_parent(expect))
        }

        /// What a message's own context is to the span that processes it:
        /// [`CreationContext::Parent`], the default, or [`CreationContext::Link`], for a service
        /// whose own work is what matters (a job that reads a backlog), or whose messages are read by
        /// many.
        ///
        /// Linked or not, the message's baggage holds in the handler.
        ///
        /// [`CreationContext::Parent`]: throughline_core::messaging::CreationContext::Parent
        /// [`CreationContext::Link`]: throughline_core::messaging::CreationContext::Link
        #[must_use]
        pub fn creation_context(self, is: throughline_core::messaging::CreationContext) -> Self {
            self.change(|settings| settings.creation_context = is)
        }

        /// How `AWSTraceHeader` is read; [`TraceHeader::Fallback`](crate::TraceHeader::Fallback)
        /// unless told otherwise.
        #[must_use]
        pub fn trace_header(self, use_for: crate::TraceHeader) -> Self {
            self.change(|settings| settings.trace_header = use_for)
        }

        /// Whether a message without attributes is looked at as one of SNS; see
        /// [`Interceptor::sns_envelopes`](crate::Interceptor::sns_envelopes).
        #[must_use]
        pub fn sns_envelopes(self, read: bool) -> Self {
            self.change(|settings| settings.sns_envelopes = read)
        }
    };
}
pub(crate) use inbound_setters;
