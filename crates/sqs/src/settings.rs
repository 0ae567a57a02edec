use throughline_core::Config;

/// The most bytes of a message and its attributes, and of all of a batch: 1 MiB.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// What an interceptor was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) trace_header: TraceHeader,
    pub(crate) sns_envelopes: bool,
    pub(crate) create_spans: bool,
    pub(crate) max_message_size: usize,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Settings {
            config: Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            trace_header: TraceHeader::default(),
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
