use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanContext;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::ToBytes;
use rdkafka::producer::future_producer::{Delivery, OwnedDeliveryResult};
use rdkafka::producer::{FutureRecord, ThreadedProducer};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::oneshot;

use super::TracedContext;
use super::context::{InFlight, told_all};
use super::methods::producer_methods;
use super::record::{Sent, based, detached, is_full, lost, outgoing, taken_apart};
use super::span::{Forwarded, Sending, start, withdraw};
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
/// Each send has a span of kind PRODUCER, and that span's context is in the record's headers. The
/// span ends when the broker has answered, whether or not anybody waits: to drop the future of a send
/// cancels nothing, as in `rdkafka`.
///
/// # Creation contexts
///
/// A context that is in the headers already, put there by [`create`](Self::create) or by other means,
/// stays: the record was created there, and the trace goes on from there. The span of the send is of
/// kind CLIENT then, and linked to it; with nothing current it is its child.
///
/// What the record came with that is being handled is no such context: where its headers are copied
/// to a new record they are replaced. To send on what was received is
/// [`forward`](Self::forward)'s work.
///
/// There is no way from here to a producer that sends without its context. Cheap to clone.
///
/// # Shutdown
///
/// [`flush`](Self::flush) before the process ends: what is still queued when the last clone is
/// dropped is purged, and its spans end as errors.
///
/// `delivery.report.only.error` is set to `false`, whatever the configuration says: without the
/// broker's answer no span would end, nor any send.
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
        let producer = told_all(config).create_with_context(TracedContext::new(context))?;
        Ok(FutureProducer { producer, settings: Arc::new(Settings::of_producer(config)) })
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
    producer_methods!(TracedContext<C>);

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
        self.send_as(record, queue_timeout.into(), None).await
    }

    async fn send_as<K, P>(
        &self,
        mut record: FutureRecord<'_, K, P>,
        queue_timeout: Timeout,
        forwarded: Option<Forwarded<'_>>,
    ) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let begin = Instant::now();
        let outgoing = outgoing(&record);
        let sending = start(&self.settings, outgoing, &mut record.headers, forwarded);
        let Sending { span, is_injected } = sending;
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
                let record = self.given_back(given_back, is_injected, &error);
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
    /// the record back, as it was.
    #[expect(clippy::result_large_err, reason = "the signature of rdkafka's own")]
    pub fn send_result<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let outgoing = outgoing(&record);
        let sending = start(&self.settings, outgoing, &mut record.headers, None);
        let Sending { span, is_injected } = sending;
        let (sender, answer) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
        match self.producer.send(based(record, Box::new(InFlight { span, sender }))) {
            Ok(()) => Ok(DeliveryFuture(answer)),
            Err((error, given_back)) => {
                let record = self.given_back(given_back, is_injected, &error);
                Err((error, record))
            }
        }
    }

    /// The record that could not be queued, as it was before, and the end of its span.
    #[cold]
    fn given_back<'a, K, P>(
        &self,
        record: Sent<'a, K, P>,
        is_injected: bool,
        error: &KafkaError,
    ) -> FutureRecord<'a, K, P>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (mut record, InFlight { span, .. }) = taken_apart(record);
        withdraw(&self.settings, Sending { span, is_injected }, error, &mut record.headers);
        record
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
        let sent = self.send_as(record, Timeout::Never, Some(Forwarded { link })).await;
        sent.map_err(|(cause, _)| ForwardError { topic: topic.to_owned(), cause })
    }
}
