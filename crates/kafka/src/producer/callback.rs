use std::fmt;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::ToBytes;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, NoCustomPartitioner, Partitioner, ProducerContext,
};
use rdkafka::util::{IntoOpaque, Timeout};

use super::context::{Queued, TracedProducerContext, told_all};
use super::methods::producer_methods;
use super::span::{Outgoing, Sending, start, withdraw};
use crate::settings::Settings;

/// A record with another opaque, and the one that it had.
fn exchange<'a, K, P, D, E>(
    record: BaseRecord<'a, K, P, D>,
    with: impl FnOnce(D) -> E,
) -> BaseRecord<'a, K, P, E>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
    D: IntoOpaque,
    E: IntoOpaque,
{
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } = record;
    let delivery_opaque = with(delivery_opaque);
    BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque }
}

/// Starts the span of a record, and has `queue` queue it.
#[expect(clippy::result_large_err, reason = "the signature of rdkafka's own")]
fn send<'a, K, P, D>(
    settings: &Settings,
    mut record: BaseRecord<'a, K, P, D>,
    queue: impl FnOnce(
        BaseRecord<'a, K, P, Box<Queued<D>>>,
    ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, Box<Queued<D>>>)>,
) -> Result<(), (KafkaError, BaseRecord<'a, K, P, D>)>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
    D: IntoOpaque,
{
    let key = record.key.map(ToBytes::to_bytes);
    let outgoing = Outgoing { topic: record.topic, is_tombstone: record.payload.is_none(), key };
    let Sending { span, is_injected } = start(settings, outgoing, &mut record.headers, None);
    queue(exchange(record, |opaque| Box::new(Queued { span, opaque }))).map_err(
        |(error, given_back)| {
            let mut ended = None;
            let mut record = exchange(given_back, |queued| {
                let Queued { span, opaque } = *queued;
                ended = Some(span);
                opaque
            });
            if let Some(span) = ended {
                let sending = Sending { span, is_injected };
                withdraw(settings, sending, &error, &mut record.headers);
            }
            (error, record)
        },
    )
}

macro_rules! callback_producer {
    ($(#[$doc:meta])* $name:ident, $($bound:path),*) => {
        $(#[$doc])*
        pub struct $name<C = DefaultProducerContext, Part = NoCustomPartitioner>
        where
            C: ProducerContext<Part> + 'static,
            Part: Partitioner $(+ $bound)* + 'static,
        {
            producer: Arc<
                rdkafka::producer::$name<
                    TracedProducerContext<C, Part>,
                    TracedProducerContext<C, Part>,
                >,
            >,
            settings: Arc<Settings>,
        }

        impl FromClientConfig for $name {
            fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
                $name::from_config_and_context(config, DefaultProducerContext)
            }
        }

        impl<C, Part> FromClientConfigAndContext<C> for $name<C, Part>
        where
            C: ProducerContext<Part> + 'static,
            Part: Partitioner $(+ $bound)* + 'static,
        {
            fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
                let mut config = told_all(config);
                if config.get("partitioner").is_none() && context.get_custom_partitioner().is_some() {
                    // The default. Without any setting of topics rdkafka 0.39 hands a null pointer
                    // to librdkafka, to write the user's partitioner to.
                    config.set("partitioner", "consistent_random");
                }
                let config = &config;
                let producer = config.create_with_context(TracedProducerContext::new(context))?;
                let (producer, settings) = (Arc::new(producer), Arc::new(Settings::of_producer(config)));
                Ok($name { producer, settings })
            }
        }

        impl<C, Part> fmt::Debug for $name<C, Part>
        where
            C: ProducerContext<Part> + 'static,
            Part: Partitioner $(+ $bound)* + 'static,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut told = f.debug_struct(stringify!($name));
                told.field("settings", &self.settings).finish_non_exhaustive()
            }
        }

        impl<C, Part> $name<C, Part>
        where
            C: ProducerContext<Part> + 'static,
            Part: Partitioner $(+ $bound)* + 'static,
        {
            /// Queues a record, and returns at once. When the broker has answered the span ends, and
            /// the context's [`delivery`](ProducerContext::delivery) is told, in the trace of the
            /// send and with the record's own opaque. It may panic: that is logged, and the producer
            /// goes on.
            ///
            /// # Errors
            ///
            /// When it can't be queued, because the queue is full or the producer is broken: the
            /// error, and the record back, as it was. To wait for room and send it again is up to the
            /// caller; each try has a span of its own.
            #[expect(clippy::result_large_err, reason = "the signature of rdkafka's own")]
            pub fn send<'a, K, P>(
                &self,
                record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
            ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, C::DeliveryOpaque>)>
            where
                K: ToBytes + ?Sized,
                P: ToBytes + ?Sized,
            {
                #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
                send(&self.settings, record, |record| self.producer.send(record))
            }

            /// Calls back for what the broker has answered.
            pub fn poll(&self, timeout: impl Into<Timeout>) {
                self.producer.poll(timeout);
            }

            producer_methods!(TracedProducerContext<C, Part>);
        }
    };
}

callback_producer! {
    /// A producer that calls back, and has to be polled for that: `rdkafka`'s
    /// [`BaseProducer`](rdkafka::producer::BaseProducer), made by the same [`ClientConfig::create`],
    /// with the same [`BaseRecord`]s, [`ProducerContext`]s, opaques and partitioners.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use rdkafka::ClientConfig;
    /// use rdkafka::producer::BaseRecord;
    /// use throughline_kafka::BaseProducer;
    ///
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = ClientConfig::new();
    /// let producer: BaseProducer = config.set("bootstrap.servers", "localhost:9092").create()?;
    /// let record = BaseRecord::to("orders").key("42").payload("{}");
    /// producer.send(record).map_err(|(error, _)| error)?;
    /// producer.flush(Duration::from_secs(5))?;
    /// # Ok(()) }
    /// ```
    ///
    /// Each send has a span of kind PRODUCER, and that span's context is in the record's headers. The
    /// span ends when the broker has answered and somebody polls. For that
    /// `delivery.report.only.error` is set to `false`, whatever the configuration says.
    ///
    /// # Creation contexts
    ///
    /// As of [`FutureProducer`](crate::FutureProducer#creation-contexts).
    BaseProducer,
}

callback_producer! {
    /// A producer that calls back, from a thread of its own: `rdkafka`'s
    /// [`ThreadedProducer`](rdkafka::producer::ThreadedProducer). Everything else is as of
    /// [`BaseProducer`].
    ///
    /// # Creation contexts
    ///
    /// As of [`FutureProducer`](crate::FutureProducer#creation-contexts).
    ThreadedProducer, Send, Sync
}

impl<C, Part> Clone for ThreadedProducer<C, Part>
where
    C: ProducerContext<Part> + 'static,
    Part: Partitioner + Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        let (producer, settings) = (Arc::clone(&self.producer), Arc::clone(&self.settings));
        ThreadedProducer { producer, settings }
    }
}
