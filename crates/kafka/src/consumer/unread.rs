//! Partitions that came, and that librdkafka doesn't read.
//!
//! When partitions come, it asks the broker that looks after the group where that has committed.
//! Where the answer is an error, librdkafka (2.12) tells it, once for all of them and once for each,
//! and asks nothing again: the partitions stay here and unread until they leave, and the errors look
//! as if they passed by themselves. So the partitions are taken out and put in again.
//!
//! That is done by whoever polls, and only once the queue is empty: while a rebalance waits in it
//! librdkafka would take what is unassigned for the answer to that, and the group would hand on what
//! is still handled here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Hooks;
use super::begins::is_asked;
use super::positions::copied;
use super::source::Client;

/// How long librdkafka may take to say whether it reads a partition: it knows it by itself.
const ANSWER: Duration = Duration::from_millis(500);

/// Wakes whoever has to look at the partitions when it is time.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn set(&mut self, due: Option<Instant>, task: &mut Context<'_>) {
        let Some(due) = due else {
            self.0 = None;
            return;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        if sleep.as_mut().poll(task).is_ready() {
            task.waker().wake_by_ref();
        }
    }
}

/// A task, and whether it was woken: a stream that is pending has found its queue empty, or has
/// served an event and woken its task for the next.
#[derive(Debug)]
pub(super) struct Noting {
    task: Waker,
    is_woken: AtomicBool,
}

impl Noting {
    pub(super) fn of(task: &Waker) -> Arc<Self> {
        Arc::new(Noting { task: task.clone(), is_woken: AtomicBool::new(false) })
    }
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, SeqCst);
        self.task.wake_by_ref();
    }
}

impl<H: Hooks> Client<H> {
    /// Notes an error that passes by itself, and that somebody has to look whether it did.
    pub(super) fn transient(&self, error: &KafkaError) {
        self.state.transient(error);
        let is_of_no_question = matches!(
            error.rdkafka_error_code(),
            None | Some(Code::AllBrokersDown | Code::PollExceeded | Code::Resolve)
        );
        if !is_of_no_question && self.state.begins.look_later(Instant::now()) {
            // Those who wait have set no alarm; and who heard the error may not come back.
            self.state.wake.notify_waiters();
        }
    }

    /// The queue gave nothing. `noting` is what it was polled with, if it was time by then. Under the
    /// gate.
    pub(super) fn idle(
        &self,
        noting: Option<&Arc<Noting>>,
        alarm: &mut Alarm,
        task: &mut Context<'_>,
    ) {
        if noting.is_some_and(|noting| !noting.is_woken.load(SeqCst)) {
            self.look();
        }
        alarm.set(self.state.begins.due(), task);
    }

    /// A record came although it is time to look. Under the gate.
    pub(super) fn busy(&self) {
        if self.state.begins.hold(Instant::now()) {
            // librdkafka drops what it has fetched of them, and the queue comes to its end.
            self.pause_assigned();
        }
    }

    fn look(&self) {
        // Who has lost them has no say: to assign anything would take that mark away, and let commits
        // out that have to be refused.
        let looked = match self.consumer.assignment_lost() {
            true => Ok(false),
            false => self.read_anew(),
        };
        if let Err(error) = &looked {
            tracing::warn!(%error, "partitions are unread for now");
        }
        let is_held = self.state.begins.looked(Instant::now(), &looked);
        if is_held && !self.state.resting.load(SeqCst) {
            self.resume_assigned();
        }
    }

    /// Reads those that librdkafka doesn't. Whether there are any.
    fn read_anew(&self) -> KafkaResult<bool> {
        let begins = self.state.begins.all();
        let mut all = self.consumer.position()?;
        let mut doubtful = TopicPartitionList::new();
        for mut element in all.elements() {
            if matches!(element.offset(), Offset::Offset(_)) {
                continue;
            }
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let begin = begins.get(&(topic.clone(), partition)).copied();
            // One that was sought goes on from there.
            element.set_offset(begin.unwrap_or(Offset::Invalid))?;
            if begin.is_some_and(is_asked) {
                doubtful.add_partition_offset(&topic, partition, Offset::Stored)?;
            }
        }
        let out = self.unread_of(doubtful)?;
        let mut unread = copied(&out)?;
        for ((topic, partition), begin) in &begins {
            // Taken out by us, and then refused.
            if all.find_partition(topic, *partition).is_none() {
                all.add_partition_offset(topic, *partition, *begin)?;
                unread.add_partition_offset(topic, *partition, *begin)?;
            }
        }
        if unread.count() == 0 {
            return Ok(false);
        }
        // Without a group's protocol both ways are open, and the other one leaves the rest alone.
        if matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Eager) {
            self.assign_again(&all)?;
            return Ok(true);
        }
        if out.count() > 0 {
            self.consumer.incremental_unassign(&out)?;
        }
        self.consumer.incremental_assign(&unread)?;
        Ok(true)
    }

    /// Which of these aren't read, of which nothing came: the others may just be empty, and one that
    /// begins at the end must not begin there anew.
    ///
    /// librdkafka tells that by nothing but how it refuses a place that it seeks for nobody: because
    /// of the state of the partition, or else because of the place.
    fn unread_of(&self, list: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let mut unread = TopicPartitionList::new();
        if list.count() == 0 {
            return Ok(unread);
        }
        let answer = self.consumer.seek_partitions(copied(&list)?, ANSWER);
        // The question alone makes it drop what it fetches from now on. This ends that, and what it
        // has dropped it fetches again, since none of it was handed out.
        self.consumer.pause(&list)?;
        if !self.state.resting.load(SeqCst) {
            self.resume_running(&list)?;
        }
        for element in answer?.elements() {
            let error = element.error().err().and_then(|error| error.rdkafka_error_code());
            if error == Some(Code::State) {
                unread.add_partition_offset(
                    element.topic(),
                    element.partition(),
                    Offset::Stored,
                )?;
            }
        }
        Ok(unread)
    }

    /// Assigns all as if nothing had been, though librdkafka forgets what was stored. Whoever stores
    /// waits, and where somebody commits it has to wait itself: either would find nothing there.
    fn assign_again(&self, all: &TopicPartitionList) -> KafkaResult<()> {
        let Ok(_no_commits) = self.commits.try_write() else {
            return Err(KafkaError::ConsumerCommit(Code::InProgress));
        };
        self.state.offsets.store_again(
            || self.consumer.assign(all),
            |topic, partition, position| {
                // It adds one.
                let last = position.saturating_sub(1);
                if let Err(error) = self.consumer.store_offset(topic, partition, last) {
                    tracing::warn!(%error, topic, partition, "what was acknowledged may come again");
                }
            },
        )
    }
}
