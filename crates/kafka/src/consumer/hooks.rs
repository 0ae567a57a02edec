use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::util::Timeout;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The name of the topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The offset that came with it; `None` where there was none.
    pub offset: Option<i64>,
}

/// What a rebalance of the group does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Rebalance<'a> {
    /// These partitions are now read here.
    Assign(&'a [TopicPartition]),
    /// These partitions are no longer read here.
    Revoke(&'a [TopicPartition]),
    /// The rebalance failed. rdkafka 0.39 tells its log of that, and not us.
    Error(KafkaError),
}

/// What a service wants to hear of its consumer: `rdkafka`'s `ConsumerContext`, for a
/// [`StreamConsumer`](crate::StreamConsumer) that is made by `create_with_context`.
///
/// The methods have the names and the moments of `rdkafka`'s own. They get plain lists and not its
/// `TopicPartitionList`, because one of those that is kept for longer than the consumer keeps it
/// from ever closing. They run wherever librdkafka is polled, in `recv`, while a long handler runs,
/// and while the consumer closes, and should be quick. They must not change what their own consumer
/// reads (`seek`, `assign`, `pause`, …): that waits for them. One that panics is logged, and the
/// rebalance goes on.
pub trait Hooks: ClientContext + 'static {
    /// Where a partition is to be read from that was just assigned, for a service that keeps its
    /// offsets itself; `None` leaves it to the group's committed offset. May block for as long as it
    /// takes to look the offset up.
    fn start_at(&self, partition: &TopicPartition) -> Option<i64> {
        let _unused = partition;
        None
    }

    /// Before a rebalance takes effect.
    fn pre_rebalance(&self, rebalance: &Rebalance<'_>) {
        let _unused = rebalance;
    }

    /// After a rebalance has taken effect.
    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        let _unused = rebalance;
    }

    /// After offsets were committed, or could not be.
    fn commit_callback(&self, result: &KafkaResult<()>, offsets: &[TopicPartition]) {
        let _unused = (result, offsets);
    }

    /// How often events are looked for while no message comes.
    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(std::time::Duration::from_secs(1))
    }
}

/// [`Hooks`] that do nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultHooks;

impl ClientContext for DefaultHooks {}
impl Hooks for DefaultHooks {}
