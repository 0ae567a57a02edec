use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, Tracer, TracerProvider};
use rdkafka::Timestamp;
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{OwnedMessage, ToBytes};
use rdkafka::producer::future_producer::{Delivery, OwnedDeliveryResult};
use rdkafka::producer::{BaseRecord, FutureRecord, Producer, PurgeConfig, ThreadedProducer};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use throughline_core::Config;
use tokio::sync::oneshot;

use super::TracedContext;
use super::context::InFlight;
use super::span::{refused, start};
use crate::process::Message;
use crate::settings::Settings;

/// How long a send waits before it tries a full queue again, as in `rdkafka`.
const QUEUE_WAIT: Duration = Duration::from_millis(100);

/// A producer whose records carry the trace: `rdkafka`'s
/// [`FutureProducer`](rdkafka::producer::FutureProducer), made by the same
/// [`ClientConfig::create`], with the same [`FutureRecord`]s.
///
/// ```no_run
/// use std::time::Duration;
///
/// use rdkafka::ClientConfig;
/// use rdkafka::producer::FutureRecord;
/// use throughline_kafka::FutureProducer;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = ClientConfig::new();
/// let producer: FutureProducer = config.set("bootstrap.servers", "localhost:9092").create()?;
/// let record = FutureRecord::to("orders").key("42").payload("{}");
/// producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
/// # Ok(()) }
/// ```
///
/// Each send has a span of kind PRODUCER, and that span's context is in the record's headers,
/// where it replaces whatever stood there. The span ends when the broker has answered, whether or
/// not anybody waits: to drop the future of a send cancels nothing, as in `rdkafka`.
///
/// There is no way from here to a producer that sends without its context. Cheap to clone.
///
/// # Shutdown
///
/// [`flush`](Self::flush) before the process ends: what is still queued when the last clone is
/// dropped is purged, and its spans end as errors.
pub struct FutureProducer<C: ClientContext + 'static = DefaultClientContext> {
    producer: ThreadedProducer<TracedContext<C>>,
    settings: Arc<Settings>,
}

impl FromClientConfig for FutureProducer {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        FutureProducer::from_config_and_context(config, DefaultClientContext)
    }
}

impl<C: ClientContext + 'static> FromClientConfigAndContext<C> for FutureProducer<C> {
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer = config.create_with_context(TracedContext::new(context))?;
        Ok(FutureProducer { producer, settings: Arc::new(Settings::of(config)) })
    }
}

impl<C: ClientContext + 'static> Clone for FutureProducer<C> {
    fn clone(&self) -> Self {
        FutureProducer { producer: self.producer.clone(), settings: Arc::clone(&self.settings) }
    }
}

impl<C: ClientContext + 'static> fmt::Debug for FutureProducer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureProducer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The answer of the broker to a record that was queued; from [`FutureProducer::send_result`].
///
/// To drop it cancels nothing.
#[derive(Debug)]
#[must_use = "whether the broker took the record is only told to who waits"]
pub struct DeliveryFuture(oneshot::Receiver<OwnedDeliveryResult>);

impl Future for DeliveryFuture {
    /// `Err` where the producer was dropped before the broker answered.
    type Output = Result<OwnedDeliveryResult, KafkaError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task).map_err(|_| KafkaError::Canceled)
    }
}

/// A record could not be sent on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the record was not sent on to {topic}: {cause}")]
pub struct ForwardError {
    topic: String,
    #[source]
    cause: KafkaError,
}

impl<C: ClientContext + 'static> FutureProducer<C> {
    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let config = change(settings.config.clone());
        FutureProducer { settings: Arc::new(Settings { config, ..settings }), ..self }
    }

    /// Asks the sampler even where the current span is not sampled; see [`Config::ask_sampler`].
    #[must_use]
    pub fn ask_sampler(self, ask: bool) -> Self {
        self.map(|config| config.ask_sampler(ask))
    }

    /// Takes spans from `provider` instead of the global one.
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        self.map(|config| config.with_tracer_provider(provider))
    }

    /// Speaks `propagator` instead of the global one.
    #[must_use]
    pub fn with_propagator(
        self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.map(|config| config.with_propagator(propagator))
    }

    /// Sends a record, and waits for the broker's answer.
    ///
    /// `queue_timeout` is how long to wait while the producer's queue is full, and nothing else: the
    /// broker's answer is bounded by `delivery.timeout.ms`. To drop the future while it waits for
    /// the queue cancels the send; later it cancels nothing. In a tokio runtime.
    ///
    /// # Errors
    ///
    /// The error, and the record as it was to be sent.
    pub async fn send<K, P, T>(
        &self,
        record: FutureRecord<'_, K, P>,
        queue_timeout: T,
    ) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>,
    {
        self.send_linked(record, queue_timeout.into(), None).await
    }

    /// The same, with a link to another span.
    async fn send_linked<K, P>(
        &self,
        mut record: FutureRecord<'_, K, P>,
        queue_timeout: Timeout,
        link: Option<&SpanContext>,
    ) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let begin = Instant::now();
        let span = start(&self.settings, &mut record, link);
        let (sender, answer) = oneshot::channel();
        let mut record = based(record, Box::new(InFlight { span, sender }));
        loop {
            #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
            let Err((error, given_back)) = self.producer.send(record) else {
                return match answer.await {
                    Ok(answer) => answer,
                    Err(_) => Err((KafkaError::Canceled, lost())),
                };
            };
            let may_wait = match queue_timeout {
                Timeout::Never => true,
                Timeout::After(time) => begin.elapsed() < time,
            };
            if !(is_full(&error) && may_wait) {
                let (record, InFlight { span, .. }) = taken_apart(given_back);
                refused(span, &error);
                return Err((error, detached(record)));
            }
            record = given_back;
            tokio::time::sleep(QUEUE_WAIT).await;
        }
    }

    /// Queues a record, and returns at once. The span ends when the broker has answered.
    ///
    /// # Errors
    ///
    /// When it can't be queued, because the queue is full or the producer is broken: the error, and
    /// the record back, with the context in its headers.
    #[expect(clippy::result_large_err, reason = "the signature of rdkafka's own")]
    pub fn send_result<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let span = start(&self.settings, &mut record, None);
        let (sender, answer) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
        match self.producer.send(based(record, Box::new(InFlight { span, sender }))) {
            Ok(()) => Ok(DeliveryFuture(answer)),
            Err((error, given_back)) => {
                let (record, InFlight { span, .. }) = taken_apart(given_back);
                refused(span, &error);
                Err((error, record))
            }
        }
    }

    /// Sends a record that was received on to another topic: key, payload and headers go along, and
    /// the context in the headers is replaced by that of the new send. Its timestamp is new.
    ///
    /// # Errors
    ///
    /// When the broker doesn't take it.
    pub async fn forward(
        &self,
        message: Message<'_>,
        topic: &str,
    ) -> Result<Delivery, ForwardError> {
        self.forward_with(message, topic, &[], None).await
    }

    /// The same, with more headers, which replace those of the same name, and a link to another span.
    pub(crate) async fn forward_with(
        &self,
        message: Message<'_>,
        topic: &str,
        more: &[(&str, String)],
        link: Option<&SpanContext>,
    ) -> Result<Delivery, ForwardError> {
        let headers = crate::inject::with(message.headers(), more);
        let record = FutureRecord {
            topic,
            partition: None,
            payload: message.payload(),
            key: message.key(),
            timestamp: None,
            headers,
        };
        let sent = self.send_linked(record, Timeout::Never, link).await;
        sent.map_err(|(cause, _)| ForwardError { topic: topic.to_owned(), cause })
    }

    /// Waits until the broker has answered for everything that was sent. Blocks.
    ///
    /// # Errors
    ///
    /// When it hasn't within `timeout`.
    pub fn flush(&self, timeout: impl Into<Timeout>) -> KafkaResult<()> {
        self.producer.flush(timeout)
    }

    /// Drops what wasn't sent; the spans end as errors.
    pub fn purge(&self, flags: PurgeConfig) {
        self.producer.purge(flags);
    }

    /// How many records the broker hasn't answered for.
    #[must_use]
    pub fn in_flight_count(&self) -> i32 {
        self.producer.in_flight_count()
    }

    /// The client underneath, for what it tells of the cluster.
    #[must_use]
    pub fn client(&self) -> &Client<TracedContext<C>> {
        self.producer.client()
    }

    /// Prepares transactions; once, before the first one. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn init_transactions(&self, timeout: impl Into<Timeout>) -> KafkaResult<()> {
        self.producer.init_transactions(timeout)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn begin_transaction(&self) -> KafkaResult<()> {
        self.producer.begin_transaction()
    }

    /// Makes offsets a part of the transaction. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn send_offsets_to_transaction(
        &self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<()> {
        self.producer.send_offsets_to_transaction(offsets, group, timeout)
    }

    /// Commits the transaction, after everything in it was sent. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn commit_transaction(&self, timeout: impl Into<Timeout>) -> KafkaResult<()> {
        self.producer.commit_transaction(timeout)
    }

    /// Gives the transaction up. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn abort_transaction(&self, timeout: impl Into<Timeout>) -> KafkaResult<()> {
        self.producer.abort_transaction(timeout)
    }
}

type Sent<'a, K, P> = BaseRecord<'a, K, P, Box<InFlight>>;

fn based<'a, K, P>(record: FutureRecord<'a, K, P>, in_flight: Box<InFlight>) -> Sent<'a, K, P>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.payload,
        key: record.key,
        timestamp: record.timestamp,
        headers: record.headers,
        delivery_opaque: in_flight,
    }
}

fn taken_apart<'a, K, P>(record: Sent<'a, K, P>) -> (FutureRecord<'a, K, P>, InFlight)
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } = record;
    (FutureRecord { topic, partition, payload, key, timestamp, headers }, *delivery_opaque)
}

fn detached<K, P>(record: FutureRecord<'_, K, P>) -> OwnedMessage
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    OwnedMessage::new(
        record.payload.map(|payload| payload.to_bytes().to_vec()),
        record.key.map(|key| key.to_bytes().to_vec()),
        record.topic.to_owned(),
        record.timestamp.map_or(Timestamp::NotAvailable, Timestamp::CreateTime),
        record.partition.unwrap_or(-1),
        0,
        record.headers,
    )
}

/// The answer never came, and the record went with it. We hold the producer, so this doesn't
/// happen while librdkafka keeps its word.
fn lost() -> OwnedMessage {
    OwnedMessage::new(None, None, String::new(), Timestamp::NotAvailable, -1, 0, None)
}

fn is_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}
