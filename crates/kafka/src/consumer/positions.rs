//! What a consumer reads, and from where on.

use std::time::Duration;

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use super::context::plain;
use super::{Hooks, StreamConsumer, TopicPartition};

/// How long to wait for librdkafka to go back to a record that failed.
const SEEK: Duration = Duration::from_secs(10);

impl<H: Hooks, O> StreamConsumer<H, O> {
    /// Reads these topics, as a member of the group. One that isn't there is waited for, by the newer
    /// group protocol without a word.
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
        self.client.state.come(partitions);
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

    /// Reads these partitions as well, without a group's say.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn incremental_assign(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let _gate = self.client.gate();
        self.client.consumer.incremental_assign(&copied(partitions)?)?;
        self.left(partitions);
        self.client.state.come(partitions);
        // One that was paused before it left may come back paused.
        self.client.consumer.resume(&copied(partitions)?)
    }

    /// Reads these partitions no more, and the others as ever. What was handed out of them
    /// acknowledges nothing any more.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn incremental_unassign(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let _gate = self.client.gate();
        self.client.consumer.incremental_unassign(&copied(partitions)?)?;
        self.left(partitions);
        Ok(())
    }

    fn left(&self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            self.client.state.revoke(element.topic(), element.partition());
        }
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
        let timeout = timeout.into();
        let offset = self.absolute(topic, partition, offset, timeout)?;
        let _gate = self.client.gate();
        self.client.consumer.seek(topic, partition, offset, timeout)?;
        self.gone(topic, partition, offset);
        Ok(())
    }

    /// One that counts from the end, as a place of its own: what comes again has to be known.
    fn absolute(
        &self,
        topic: &str,
        partition: i32,
        offset: Offset,
        timeout: Timeout,
    ) -> KafkaResult<Offset> {
        let Offset::OffsetTail(back) = offset else { return Ok(offset) };
        let (low, high) = self.client.consumer.fetch_watermarks(topic, partition, timeout)?;
        Ok(Offset::Offset(high.saturating_sub(back).max(low)))
    }

    /// The same for several partitions at once, each at the offset in the list.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`; where one partition refuses its error, and the others have gone there.
    pub fn seek_partitions(
        &self,
        partitions: &TopicPartitionList,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<()> {
        let timeout = timeout.into();
        let places = copied(partitions)?;
        for mut place in places.elements() {
            let (topic, partition) = (place.topic().to_owned(), place.partition());
            let offset = self.absolute(&topic, partition, place.offset(), timeout)?;
            place.set_offset(offset)?;
        }
        let _gate = self.client.gate();
        let answer = self.client.consumer.seek_partitions(copied(&places)?, timeout)?;
        let mut refused = Ok(());
        for (element, asked) in answer.elements().iter().zip(places.elements()) {
            match element.error() {
                // What it says of the offset is the answer's, not what was asked for.
                Ok(()) => self.gone(asked.topic(), asked.partition(), asked.offset()),
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused
    }

    /// A partition goes on elsewhere.
    fn gone(&self, topic: &str, partition: i32, to: Offset) {
        self.client.state.offsets.seek(
            topic,
            partition,
            match to {
                Offset::Offset(offset) => offset,
                Offset::Beginning => 0,
                // The end, behind all that was handed out.
                _ => i64::MAX,
            },
        );
        self.client.state.begins.seek(topic, partition, to);
        self.client.state.forget_failures(topic, partition);
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

    /// Reads them again. One that stands still since a record failed goes back to that record, for
    /// which it blocks until librdkafka has done so, ten seconds at the most.
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

    /// Refuses to wait for ever: whoever runs the consumer can't subscribe any more.
    pub(super) fn reads_something(&self) -> KafkaResult<()> {
        if self.subscription()?.is_empty() && self.assignment()?.is_empty() {
            let advice = "there is nothing to read: `subscribe` or `assign` comes before `run`";
            return Err(KafkaError::Subscription(advice.to_owned()));
        }
        Ok(())
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

    /// The same of these partitions, whether or not they are read here. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn committed_offsets(
        &self,
        partitions: &TopicPartitionList,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<Vec<TopicPartition>> {
        let partitions = copied(partitions)?;
        self.client.consumer.committed_offsets(partitions, timeout).map(|list| plain(&list))
    }

    /// The first offset of each of these partitions whose record is as young as the list says in
    /// place of an offset, in milliseconds since 1970. Blocks.
    ///
    /// # Errors
    ///
    /// As in `rdkafka`.
    pub fn offsets_for_times(
        &self,
        times: &TopicPartitionList,
        timeout: impl Into<Timeout>,
    ) -> KafkaResult<Vec<TopicPartition>> {
        let times = copied(times)?;
        self.client.consumer.offsets_for_times(times, timeout).map(|list| plain(&list))
    }

    /// Whether the group has given this member up, and its partitions to others.
    #[must_use]
    pub fn assignment_lost(&self) -> bool {
        self.client.consumer.assignment_lost()
    }

    /// Whether the group takes partitions away one by one, or all at once.
    #[must_use]
    pub fn rebalance_protocol(&self) -> RebalanceProtocol {
        self.client.consumer.rebalance_protocol()
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
