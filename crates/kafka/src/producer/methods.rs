//! What every producer can be told and can do, written once.

/// The setters, `create`, and the methods of `rdkafka`'s `Producer`. The type has the fields `producer` and
/// `settings`.
macro_rules! producer_methods {
    ($context:ty) => {
        fn change(self, change: impl FnOnce(&mut $crate::settings::Settings)) -> Self {
            let mut settings = std::sync::Arc::unwrap_or_clone(self.settings);
            change(&mut settings);
            Self { settings: std::sync::Arc::new(settings), ..self }
        }

        fn map(
            self,
            change: impl FnOnce(throughline_core::Config) -> throughline_core::Config,
        ) -> Self {
            self.change(|settings| settings.config = change(settings.config.clone()))
        }

        throughline_core::config_setters!();

        /// Tells the keys of records, where they are text, as `kafka.message.key`; off by default,
        /// since keys can be personal.
        #[must_use]
        pub fn capture_keys(self, capture: bool) -> Self {
            self.change(|settings| settings.capture_keys = capture)
        }

        /// The headers of a record that is created here, and sent later or elsewhere: from an outbox,
        /// say. With the context of a span of kind PRODUCER, `create {topic}`, which has ended by
        /// then. `headers` come along; those that have such a context keep it.
        ///
        /// A record with these headers is [linked to](Self#creation-contexts) when it is sent, and
        /// whoever processes it continues the trace of its creation.
        #[must_use = "what is created has to be sent with these headers"]
        pub fn create(
            &self,
            topic: &str,
            headers: Option<rdkafka::message::OwnedHeaders>,
        ) -> rdkafka::message::OwnedHeaders {
            $crate::producer::span::create(&self.settings, topic, headers)
        }

        /// Waits until the broker has answered for everything that was sent. Blocks.
        ///
        /// # Errors
        ///
        /// When it hasn't within `timeout`.
        pub fn flush(
            &self,
            timeout: impl Into<rdkafka::util::Timeout>,
        ) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.flush(timeout)
        }

        /// Drops what wasn't sent; the spans end as errors.
        pub fn purge(&self, flags: rdkafka::producer::PurgeConfig) {
            use rdkafka::producer::Producer;
            self.producer.purge(flags);
        }

        /// How many records the broker hasn't answered for.
        #[must_use]
        pub fn in_flight_count(&self) -> i32 {
            use rdkafka::producer::Producer;
            self.producer.in_flight_count()
        }

        /// The client underneath, for what it tells of the cluster.
        #[must_use]
        pub fn client(&self) -> &rdkafka::client::Client<$context> {
            use rdkafka::producer::Producer;
            self.producer.client()
        }

        /// Prepares transactions; once, before the first one. Blocks.
        ///
        /// # Errors
        ///
        /// As in `rdkafka`.
        pub fn init_transactions(
            &self,
            timeout: impl Into<rdkafka::util::Timeout>,
        ) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.init_transactions(timeout)
        }

        /// Begins a transaction.
        ///
        /// # Errors
        ///
        /// As in `rdkafka`.
        pub fn begin_transaction(&self) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.begin_transaction()
        }

        /// Makes offsets a part of the transaction. Blocks.
        ///
        /// # Errors
        ///
        /// As in `rdkafka`.
        pub fn send_offsets_to_transaction(
            &self,
            offsets: &rdkafka::TopicPartitionList,
            group: &rdkafka::consumer::ConsumerGroupMetadata,
            timeout: impl Into<rdkafka::util::Timeout>,
        ) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.send_offsets_to_transaction(offsets, group, timeout)
        }

        /// Commits the transaction, after everything in it was sent. Blocks.
        ///
        /// # Errors
        ///
        /// As in `rdkafka`.
        pub fn commit_transaction(
            &self,
            timeout: impl Into<rdkafka::util::Timeout>,
        ) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.commit_transaction(timeout)
        }

        /// Gives the transaction up. Blocks.
        ///
        /// # Errors
        ///
        /// As in `rdkafka`.
        pub fn abort_transaction(
            &self,
            timeout: impl Into<rdkafka::util::Timeout>,
        ) -> rdkafka::error::KafkaResult<()> {
            use rdkafka::producer::Producer;
            self.producer.abort_transaction(timeout)
        }
    };
}

pub(super) use producer_methods;
