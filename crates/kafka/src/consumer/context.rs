//! What librdkafka calls back: the books are kept, then the user's hooks are called.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::Hooks;
use super::hooks::{Rebalance, TopicPartition};
use super::state::State;

/// Stands between librdkafka and the [`Hooks`] of a consumer.
pub struct HookedContext<H> {
    hooks: H,
    state: Arc<State>,
}

impl<H> std::fmt::Debug for HookedContext<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookedContext").finish_non_exhaustive()
    }
}

impl<H: Hooks> HookedContext<H> {
    pub(super) fn new(hooks: H, state: Arc<State>) -> Self {
        HookedContext { hooks, state }
    }

    /// The hooks that the consumer was made with.
    #[must_use]
    pub fn hooks(&self) -> &H {
        &self.hooks
    }

    /// A panic of the user's would leave a rebalance half done, and the group without a reader.
    fn guarded(what: &str, hook: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(hook)).is_err() {
            tracing::error!("the hook {what} of a Kafka consumer panicked");
        }
    }
}

/// Plain copies: a list of librdkafka's own that outlives its consumer keeps it from closing.
pub(super) fn plain(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements().into_iter().map(|element| TopicPartition {
        topic: element.topic().to_owned(),
        partition: element.partition(),
        offset: match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        },
    });
    elements.collect()
}

fn told<'a>(
    rebalance: &rdkafka::consumer::Rebalance<'_>,
    list: &'a mut Vec<TopicPartition>,
) -> Rebalance<'a> {
    use rdkafka::consumer::Rebalance as Theirs;
    match rebalance {
        Theirs::Assign(partitions) => {
            *list = plain(partitions);
            Rebalance::Assign(list)
        }
        Theirs::Revoke(partitions) => {
            *list = plain(partitions);
            Rebalance::Revoke(list)
        }
        Theirs::Error(error) => Rebalance::Error(error.clone()),
    }
}

impl<H: Hooks> ConsumerContext for HookedContext<H> {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &rdkafka::consumer::Rebalance<'_>) {
        let mut list = Vec::new();
        let rebalance = told(rebalance, &mut list);
        if let Rebalance::Revoke(partitions) = &rebalance {
            for TopicPartition { topic, partition, .. } in *partitions {
                self.state.revoke(topic, *partition);
            }
        }
        Self::guarded("pre_rebalance", || self.hooks.pre_rebalance(&rebalance));
    }

    fn post_rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        rebalance: &rdkafka::consumer::Rebalance<'_>,
    ) {
        if let rdkafka::consumer::Rebalance::Assign(partitions) = rebalance {
            // One that was paused here before it left may come back paused.
            if let Err(error) = consumer.resume(partitions) {
                tracing::debug!(%error, "cannot resume what was assigned");
            }
        }
        let mut list = Vec::new();
        let rebalance = told(rebalance, &mut list);
        Self::guarded("post_rebalance", || self.hooks.post_rebalance(&rebalance));
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let offsets = plain(offsets);
        Self::guarded("commit_callback", || self.hooks.commit_callback(&result, &offsets));
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        self.hooks.main_queue_min_poll_interval()
    }
}

impl<H: Hooks> ClientContext for HookedContext<H> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = H::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.hooks.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.hooks.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.hooks.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.hooks.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.hooks.generate_oauth_token(config)
    }
}
