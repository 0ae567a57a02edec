use std::fmt;
use std::sync::Arc;

use opentelemetry::Value;
use rdkafka::ClientConfig;
use throughline_core::messaging::{CreationContext, max_links};
use throughline_core::{Config, Description, semconv};

/// What a client was told, and what it tells of itself on each span.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) group: Option<Arc<str>>,
    /// Whether offsets are stored here; else they are the user's own affair.
    pub(crate) acknowledge: bool,
    /// What a record's own context is to the span that processes it.
    pub(crate) creation_context: CreationContext,
    /// How many links a span may have.
    pub(crate) max_links: usize,
    /// Of which topics no context is expected.
    pub(crate) excused: Option<Excuses>,
}

pub(crate) type Excuses = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Settings {
    pub(crate) fn of(client: &ClientConfig) -> Self {
        Settings {
            config: Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            client_id: client.get("client.id").map(Arc::from),
            group: client.get("group.id").map(Arc::from),
            acknowledge: true,
            creation_context: CreationContext::default(),
            max_links: max_links(),
            excused: None,
        }
    }

    /// Whether a record of this topic has to bring its context.
    pub(crate) fn expects_parent(&self, topic: &str) -> bool {
        self.config.expects_parent() && !self.excused.as_ref().is_some_and(|excused| excused(topic))
    }

    /// What is the same on every span of this client.
    pub(crate) fn describe(&self, span: &mut Description, operation: &'static str) {
        span.set(semconv::MESSAGING_SYSTEM_NAME, "kafka");
        span.set(semconv::MESSAGING_OPERATION_NAME, operation);
        span.set(semconv::MESSAGING_OPERATION_TYPE, operation);
        if let Some(group) = &self.group {
            span.set(semconv::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(group));
        }
        if let Some(client_id) = &self.client_id {
            span.set(semconv::MESSAGING_CLIENT_ID, Arc::clone(client_id));
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("client_id", &self.client_id)
            .field("group", &self.group)
            .field("acknowledge", &self.acknowledge)
            .finish_non_exhaustive()
    }
}

/// A partition as an attribute: `messaging.destination.partition.id` is a string.
pub(crate) fn partition_id(partition: i32) -> Value {
    // Most topics have few partitions, and their numbers needn't be printed for each message.
    const SMALL: [&str; 16] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    match usize::try_from(partition).ok().and_then(|place| SMALL.get(place)) {
        Some(number) => Value::from(*number),
        None => Value::from(partition.to_string()),
    }
}
