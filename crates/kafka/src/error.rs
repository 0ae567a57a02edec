use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rdkafka::error::KafkaError;
use throughline_core::{End, semconv};

/// Why a consumer hands out no more messages.
// By hand, since a failure is told with advice, and its cause is the handler's all the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A message was not processed, and its partition stands still. (To a service whose offsets are
    /// its own this isn't told.)
    Failed(Failed),
    /// Kafka refuses for good: the client is broken, or isn't allowed to read. What passes by itself
    /// (a broker that is away) is not reported here.
    Kafka(KafkaError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(failed) => write!(
                f,
                "{failed}; nothing from there on is acknowledged: correct the cause and make the \
                 consumer anew, `resume` the partition to try it again, or `seek` beyond it to \
                 leave it behind"
            ),
            Error::Kafka(error) => write!(
                f,
                "the Kafka consumer cannot go on: {error}; correct the cause and make a new one"
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(failed) => failed.source(),
            Error::Kafka(error) => error.source(),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        Error::Failed(failed)
    }
}

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        Error::Kafka(error)
    }
}

/// A message that was not processed. It is not acknowledged, nor is any behind it in its partition:
/// whoever reads the partition next, in this process or in another, gets it again.
#[derive(Clone)]
pub struct Failed {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) reason: Reason,
}

/// Why a message was not processed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Its handler returned an error.
    Error(Arc<dyn StdError + Send + Sync>),
    /// Its handler panicked; what the panic said.
    Panicked(String),
    /// It was dropped before its handler had ended, or before it was started.
    Dropped,
}

impl Reason {
    /// For a handler whose error is only known to be printable.
    pub(crate) fn text(text: String) -> Self {
        Reason::Error(Arc::from(Box::<dyn StdError + Send + Sync>::from(text)))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Error(error) => write!(f, "{error}"),
            Reason::Panicked(said) => write!(f, "its handler panicked: {said}"),
            Reason::Dropped => f.write_str("it was dropped before its handler had ended"),
        }
    }
}

impl Failed {
    /// The topic of the message.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition of the message.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset of the message in its partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Why it was not processed.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed { topic, partition, offset, reason } = self;
        write!(
            f,
            "the message at offset {offset} of {topic}, partition {partition}, was not processed: \
             {reason}"
        )
    }
}

/// How an operation ended that librdkafka or a broker refused.
pub(crate) fn failed(error: &KafkaError) -> End {
    let code = error.rdkafka_error_code();
    let error_type = code.map_or_else(|| semconv::OTHER.to_owned(), |code| format!("{code:?}"));
    End::Failed { error_type: error_type.into(), description: error.to_string().into() }
}

impl StdError for Failed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            Reason::Error(error) => error.source(),
            Reason::Panicked(_) | Reason::Dropped => None,
        }
    }
}
