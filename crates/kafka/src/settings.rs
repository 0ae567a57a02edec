use std::fmt;
use std::sync::Arc;

use opentelemetry::Value;
use rdkafka::ClientConfig;
use throughline_core::http::{Host, host};
use throughline_core::messaging::{
    CreationContext, Destination, destination, label, max_links, set_system,
};
use throughline_core::metrics::Operation as Measured;
use throughline_core::semconv::{self, replaced};
use throughline_core::stability::tells_old_messaging;
use throughline_core::{BoundarySpan, Config, Description};

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
    /// Whether keys are told: they may be personal.
    pub(crate) capture_keys: bool,
    /// The one host that is told of.
    server: Option<Host>,
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
            capture_keys: false,
            server: server(client),
            excused: None,
        }
    }

    /// Those of a producer, which is of no group, though its configuration may name one: many
    /// services have one for all.
    pub(crate) fn of_producer(client: &ClientConfig) -> Self {
        Settings { group: None, ..Settings::of(client) }
    }

    /// Sets the key of a record, where it may be told and is text.
    #[inline]
    pub(crate) fn tell_key(&self, key: Option<&[u8]>, set: impl FnMut(&'static str, Value)) {
        if self.capture_keys
            && let Some(Ok(key)) = key.map(std::str::from_utf8)
        {
            tell(semconv::KAFKA_MESSAGE_KEY, key.to_owned(), set);
        }
    }

    /// Whether a record of this topic has to bring its context.
    pub(crate) fn expects_parent(&self, topic: &str) -> bool {
        self.config.expects_parent() && !self.excused.as_ref().is_some_and(|excused| excused(topic))
    }

    /// What is the same on every span of this client.
    pub(crate) fn describe(&self, span: &mut Description, operation: Operation) {
        set_system(span, SYSTEM);
        span.set(semconv::MESSAGING_OPERATION_NAME, operation.name);
        span.set(semconv::MESSAGING_OPERATION_TYPE, operation.kind);
        if let Some(group) = &self.group {
            span.set(semconv::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(group));
        }
        if let Some(client_id) = &self.client_id {
            span.set(semconv::MESSAGING_CLIENT_ID, Arc::clone(client_id));
        }
        if let Some(server) = &self.server {
            span.set_server(server.clone());
        }
    }

    /// Measures an operation, from now on to the end of its span, or to where that would be.
    #[inline]
    pub(crate) fn measure(
        &self,
        span: &mut BoundarySpan,
        operation: Operation,
        topic: Option<&str>,
        messages: Option<usize>,
    ) {
        if self.config.is_measured() {
            self.measure_all(span, operation, topic, messages);
        }
    }

    #[cold]
    fn measure_all(
        &self,
        span: &mut BoundarySpan,
        operation: Operation,
        topic: Option<&str>,
        messages: Option<usize>,
    ) {
        let measure = self.config.measure(operation.measured, |labels| {
            let destination = match topic {
                Some(topic) => destination(operation.name, topic),
                // A name that is no static one has no bounds, and is left out.
                None => Destination { name: String::new().into(), destination: "".into() },
            };
            label(SYSTEM, operation.name, destination, labels);
            if let Some(group) = &self.group {
                labels.set(semconv::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(group));
            }
            if let Some(server) = &self.server {
                labels.set_server(server);
            }
        });
        let Some(measure) = measure else { return };
        if let Some(messages) = messages {
            measure.messages(messages.try_into().unwrap_or(u64::MAX));
        }
        span.measured(measure);
    }
}

/// The host that the client is told to begin with. Of several none is the one that a record goes
/// to, or comes from.
fn server(client: &ClientConfig) -> Option<Host> {
    let servers = client.get("bootstrap.servers").or_else(|| client.get("metadata.broker.list"))?;
    let mut servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
    let (server, None) = (servers.next()?, servers.next()) else { return None };
    let (_, authority) = server.split_once("://").unwrap_or(("", server));
    host(authority.as_bytes())
}

/// What is done with records.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// What it is called; the span's name begins with it.
    pub(crate) name: &'static str,
    /// What kind of operation it is.
    kind: &'static str,
    measured: Measured,
}

impl Operation {
    const fn new(name: &'static str, kind: &'static str, measured: Measured) -> Self {
        Operation { name, kind, measured }
    }
}

/// The creation of a record that is sent later; it isn't measured.
pub(crate) const CREATE: Operation = Operation::new("create", "create", Measured::MessagingSend);
pub(crate) const SEND: Operation = Operation::new("send", "send", Measured::MessagingSend);
pub(crate) const PROCESS: Operation =
    Operation::new("process", "process", Measured::MessagingProcess);
pub(crate) const COMMIT: Operation = Operation::new("commit", "settle", Measured::MessagingSettle);

pub(crate) const SYSTEM: &str = "kafka";

/// What is told by its older name as well, where that is wanted.
pub(crate) fn tell(
    key: &'static str,
    value: impl Into<Value>,
    mut set: impl FnMut(&'static str, Value),
) {
    let value = value.into();
    if tells_old_messaging() {
        let old = match key {
            semconv::KAFKA_OFFSET => replaced::MESSAGING_KAFKA_OFFSET,
            semconv::KAFKA_MESSAGE_KEY => replaced::MESSAGING_KAFKA_MESSAGE_KEY,
            _ => replaced::MESSAGING_KAFKA_MESSAGE_TOMBSTONE,
        };
        set(old, value.clone());
    }
    set(key, value);
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
