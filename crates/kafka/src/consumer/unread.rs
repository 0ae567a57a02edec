//! Partitions that came, and that librdkafka doesn't read.
//!
//! When partitions come, it asks the broker that looks after the group where that has committed. A
//! broker that no longer does says so, and librdkafka (2.12) finds out who does, but asks nothing
//! again: the partitions stay here and unread until the next rebalance, and all it tells is one error
//! that looks like it would pass by itself. So they are taken out and put in again.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::Hooks;
use super::source::Client;

/// How long a group may take to be found where it is looked after now: as often is it asked.
const AGAIN: Duration = Duration::from_millis(100);

impl<H: Hooks> Client<H> {
    /// Notes an error that passes by itself, and sees to it that it does.
    pub(super) fn transient(&self, error: &KafkaError) {
        self.state.transient(error);
        let leaves_unread = matches!(
            error,
            KafkaError::MessageConsumption(Code::NotCoordinator | Code::CoordinatorNotAvailable)
        );
        // It tells it once more of each partition.
        if !leaves_unread || self.is_reading_anew.swap(true, SeqCst) {
            return;
        }
        // In a task: whoever receives may drop that, and nobody else would remember.
        let client = self.this.clone();
        #[expect(clippy::disallowed_methods, reason = "it is of no trace")]
        tokio::spawn(async move {
            tokio::time::sleep(AGAIN).await;
            let Some(client) = client.upgrade() else { return };
            client.is_reading_anew.store(false, SeqCst);
            if let Err(error) = client.read_anew() {
                tracing::warn!(%error, "partitions are not read until the next rebalance");
            }
        });
    }

    /// Reads those of the partitions that came last of which nothing has come.
    fn read_anew(&self) -> KafkaResult<()> {
        let _gate = self.gate();
        let came = self.state.came();
        let positions = self.consumer.position()?;
        let (mut unread, mut all) = (TopicPartitionList::new(), TopicPartitionList::new());
        for element in positions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let is_read = matches!(element.offset(), Offset::Offset(_));
            if !is_read && came.iter().any(|it| it.0 == topic && it.1 == partition) {
                unread.add_partition(topic, partition);
            } else {
                // As if nothing had been.
                all.add_partition_offset(topic, partition, element.offset())?;
            }
        }
        if unread.count() == 0 {
            return Ok(());
        }
        let is_cooperative =
            matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        if is_cooperative {
            self.consumer.incremental_unassign(&unread)?;
        }
        self.consumer.context().start(&mut unread);
        if is_cooperative {
            return self.consumer.incremental_assign(&unread);
        }
        for element in unread.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            all.add_partition_offset(topic, partition, element.offset())?;
        }
        self.consumer.assign(&all)
    }
}
