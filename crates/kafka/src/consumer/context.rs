//! What librdkafka calls back: the books are kept, then the user's hooks are called.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::Hooks;
use super::hooks::{Rebalance, TopicPartition};
use super::state::State;
use crate::quiet::Quiet;

/// Stands between librdkafka and the [`Hooks`] of a consumer.
pub struct HookedContext<H> {
    hooks: H,
    state: Arc<State>,
    /// Whether librdkafka commits what is stored when partitions leave.
    auto_commit: bool,
    client_error: Quiet,
}

impl<H> std::fmt::Debug for HookedContext<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookedContext").finish_non_exhaustive()
    }
}

impl<H: Hooks> HookedContext<H> {
    pub(super) fn new(hooks: H, state: Arc<State>, auto_commit: bool) -> Self {
        HookedContext { hooks, state, auto_commit, client_error: Quiet::default() }
    }

    /// The hooks that the consumer was made with.
    #[must_use]
    pub fn hooks(&self) -> &H {
        &self.hooks
    }

    /// A panic of the user's would leave a rebalance half done, and the group without a reader.
    fn guarded<T: Default>(what: &str, hook: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| {
            tracing::error!("the hook {what} of a Kafka consumer panicked");
            T::default()
        })
    }

    /// What was handed out of partitions that leave counts for nothing any more.
    fn forget(&self, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            for TopicPartition { topic, partition, .. } in *partitions {
                self.state.revoke(topic, *partition);
            }
        }
    }

    /// Sets where the partitions begin of which the service says so.
    fn start(&self, list: &mut TopicPartitionList) {
        for place in plain(list) {
            let start = Self::guarded("start_at", || self.hooks.start_at(&place));
            if let Some(offset) = start
                && let Err(error) =
                    list.set_partition_offset(&place.topic, place.partition, Offset::Offset(offset))
            {
                tracing::error!(%error, ?place, offset, "a partition can't begin there");
            }
        }
    }

    fn applied(result: KafkaResult<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "a rebalance has failed");
        }
    }
}

/// Commits what is stored. That there is nothing to commit is no error.
pub(super) fn commit<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    mode: CommitMode,
) -> KafkaResult<()> {
    match consumer.commit_consumer_state(mode) {
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        result => result,
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
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        use rdkafka::consumer::Rebalance as Theirs;
        let is_cooperative =
            matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.pre_rebalance(consumer, &Theirs::Assign(list));
                self.start(list);
                self.state.come(list);
                Self::applied(match is_cooperative {
                    true => consumer.incremental_assign(list),
                    false => consumer.assign(list),
                });
                self.post_rebalance(consumer, &Theirs::Assign(list));
            }
            _ => {
                self.pre_rebalance(consumer, &Theirs::Revoke(list));
                Self::applied(match is_cooperative {
                    true => consumer.incremental_unassign(list),
                    false => {
                        // Of what somebody assigned beside the group, too.
                        self.state.begins.clear();
                        consumer.unassign()
                    }
                });
                self.post_rebalance(consumer, &Theirs::Revoke(list));
            }
        }
    }

    fn pre_rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        rebalance: &rdkafka::consumer::Rebalance<'_>,
    ) {
        let mut list = Vec::new();
        let rebalance = told(rebalance, &mut list);
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.forget(&rebalance);
            // With `enable.auto.commit` librdkafka does it as they leave.
            if !self.auto_commit
                && !self.state.are_theirs.load(Relaxed)
                && let Err(error) = commit(consumer, CommitMode::Sync)
            {
                tracing::warn!(%error, "what was acknowledged was not committed: it comes again");
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
        // Once more: until it took effect somebody may have taken one of their messages.
        self.forget(&rebalance);
        Self::guarded("post_rebalance", || self.hooks.post_rebalance(&rebalance));
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let offsets = plain(offsets);
        if let Err(error) = &result {
            self.state.not_committed(error);
        }
        Self::guarded("commit_callback", || self.hooks.commit_callback(&result, &offsets));
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        self.hooks.main_queue_min_poll_interval()
    }
}

impl<H: Hooks> ClientContext for HookedContext<H> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = H::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Self::guarded("log", || self.hooks.log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        Self::guarded("stats", || self.hooks.stats(statistics));
    }

    fn stats_raw(&self, statistics: &[u8]) {
        Self::guarded("stats_raw", || self.hooks.stats_raw(statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Self::guarded("error", || {
            self.client_error.client_error("a Kafka consumer", &error, reason);
            self.hooks.error(error, reason);
        });
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let made =
            Self::guarded("generate_oauth_token", || Some(self.hooks.generate_oauth_token(config)));
        made.unwrap_or_else(|| Err("the hook generate_oauth_token panicked".into()))
    }
}
