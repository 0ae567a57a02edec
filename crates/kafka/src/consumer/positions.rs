//! What a consumer reads, and from where on.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use super::context::plain;
use super::{Hooks, StreamConsumer, TopicPartition};

/// How long to wait for librdkafka to go back to a record that failed.
const SEEK: Duration = Duration::from_secs(10);

impl<H: Hooks, O> StreamConsumer<H, O> {
    /// Reads these topics, as a member of the group.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn subscribe(&self, topics: &[&str]) -> KafkaResult<()> {
        self.client.consumer.subscribe(topics)
    }

    /// Leaves the group.
    pub fn unsubscribe(&self) {
        self.client.consumer.unsubscribe();
    }

    /// Reads these partitions, without a group's say. What was handed out before acknowledges
    /// nothing any more.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn assign(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let _gate = self.client.gate();
        self.client.state.forget_all();
        self.client.consumer.assign(&copied(partitions)?)?;
        // librdkafka keeps them paused that were.
        self.client.consumer.resume(&copied(partitions)?)
    }

    /// Reads no partitions any more.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn unassign(&self) -> KafkaResult<()> {
        let _gate = self.client.gate();
        self.client.state.forget_all();
        self.client.consumer.unassign()
    }

    /// Goes on reading a partition at another offset. Records from there on come again, whether or
    /// not they were handed out; one before it that has failed is left behind; and one before it
    /// that is still processed is acknowledged as ever.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn seek(
        &self,
        topic: &str,
        partition: i32,
        offset: Offset,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<()> {
        let _gate = self.client.gate();
        self.client.consumer.seek(topic, partition, offset, timeout)?;
        self.client.state.offsets.seek(
            topic,
            partition,
            match offset {
                Offset::Offset(offset) => offset,
                Offset::Beginning => 0,
                // Wherever that is: what comes from before is noticed when it comes.
                _ => i64::MAX,
            },
        );
        self.client.state.forget_failures(topic, partition);
        Ok(())
    }

    /// Stops reading these partitions for a while.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn pause(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let _gate = self.client.gate();
        for element in partitions.elements() {
            self.client.state.stop(element.topic(), element.partition());
        }
        self.client.consumer.pause(&copied(partitions)?)
    }

    /// Reads them again. One that stands still since a record failed goes back to that record.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn resume(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            if let Some(failed) = self.client.state.offsets.held_at(topic, partition) {
                self.seek(topic, partition, Offset::Offset(failed), SEEK)?;
            }
        }
        let _gate = self.client.gate();
        for element in partitions.elements() {
            self.client.state.restart(element.topic(), element.partition());
        }
        self.client.consumer.resume(&copied(partitions)?)
    }

    /// The topics that are subscribed to.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn subscription(&self) -> KafkaResult<Vec<String>> {
        let list = self.client.consumer.subscription()?;
        Ok(plain(&list).into_iter().map(|place| place.topic).collect())
    }

    /// The first offset of each partition that is read here whose record is as young as this, in
    /// milliseconds since 1970. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn offsets_for_timestamp(
        &self,
        timestamp: i64,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<Vec<TopicPartition>> {
        self.client.consumer.offsets_for_timestamp(timestamp, timeout).map(|list| plain(&list))
    }

    /// The partitions that are read here.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn assignment(&self) -> KafkaResult<Vec<TopicPartition>> {
        self.client.consumer.assignment().map(|list| plain(&list))
    }

    /// The offsets to be read next.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn position(&self) -> KafkaResult<Vec<TopicPartition>> {
        self.client.consumer.position().map(|list| plain(&list))
    }

    /// The offsets that the group has committed. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn committed(&self, timeout: impl Into<Timeout>) -> KafkaResult<Vec<TopicPartition>> {
        self.client.consumer.committed(timeout).map(|list| plain(&list))
    }
}

/// A list of our own, since librdkafka notes things in the one it is given, and waits for the end
/// of that list before it closes.
pub(super) fn copied(list: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
    let mut copy = TopicPartitionList::with_capacity(list.count());
    for element in list.elements() {
        let mut copied = copy.add_partition(element.topic(), element.partition());
        copied.set_offset(element.offset())?;
        copied.set_metadata(element.metadata());
    }
    Ok(copy)
}
