//! Where the partitions that are read here begin, and when to look whether they do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

/// How long a group may take to be found where it is looked after now. Twice as long each time, so
/// that an error that comes again and again doesn't keep the partitions from being read.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(6);

/// After that it is another affair, and is looked after at once again.
const QUIET: Duration = Duration::from_secs(30);

/// How long a queue that never gets empty may put it off.
const LATE: Duration = Duration::from_millis(500);

/// A partition's topic and number.
type Name = (String, i32);

#[derive(Debug, Default)]
pub(super) struct Begins {
    /// Whether `due` is set: who takes a record needn't lock.
    is_set: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// By what was said as they came, or by the last seek.
    places: HashMap<Name, Offset>,
    due: Option<Instant>,
    /// How often it was done without that it helped.
    tries: u32,
    looked: Option<Instant>,
    /// Whether all are paused until somebody has looked.
    is_held: bool,
}

/// Whether librdkafka asks the group where a partition begins.
pub(super) fn is_asked(begin: Offset) -> bool {
    matches!(begin, Offset::Stored | Offset::Invalid)
}

impl Begins {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These partitions are read from now on.
    pub(super) fn come(&self, list: &TopicPartitionList) {
        // By the newer protocol there may be none.
        if list.count() == 0 {
            return;
        }
        let mut book = self.book();
        for element in list.elements() {
            let name = (element.topic().to_owned(), element.partition());
            book.places.insert(name, element.offset());
        }
        book.tries = 0;
    }

    /// A partition goes on elsewhere: librdkafka no longer tells its position by that.
    pub(super) fn seek(&self, topic: &str, partition: i32, to: Offset) {
        if let Some(place) = self.book().places.get_mut(&(topic.to_owned(), partition)) {
            *place = to;
        }
    }

    pub(super) fn leave(&self, topic: &str, partition: i32) {
        self.book().places.remove(&(topic.to_owned(), partition));
    }

    pub(super) fn clear(&self) {
        self.book().places.clear();
    }

    pub(super) fn all(&self) -> HashMap<Name, Offset> {
        self.book().places.clone()
    }

    /// Something may have been refused. Whether this sets a time, which wasn't set before.
    pub(super) fn look_later(&self, now: Instant) -> bool {
        let mut book = self.book();
        if book.due.is_some() || !book.places.values().copied().any(is_asked) {
            return false;
        }
        if book.looked.is_some_and(|looked| now - looked >= QUIET) {
            book.tries = 0;
        }
        book.set(now);
        self.is_set.store(true, SeqCst);
        true
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.is_set.load(SeqCst).then(|| self.book().due).flatten()
    }

    pub(super) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// Whether it has been put off for so long that all are to be paused until somebody has looked.
    /// Once.
    pub(super) fn hold(&self, now: Instant) -> bool {
        let mut book = self.book();
        let is_late = book.due.is_some_and(|due| due + LATE <= now);
        is_late && !std::mem::replace(&mut book.is_held, true)
    }

    /// Somebody has looked, and read some anew or not. Whether all are paused for that.
    pub(super) fn looked(&self, now: Instant, result: &KafkaResult<bool>) -> bool {
        let mut book = self.book();
        book.looked = Some(now);
        book.due = None;
        match result {
            Ok(false) => book.tries = 0,
            // Where that is refused too, there is an error again.
            Ok(true) => book.tries += 1,
            Err(_) => {
                book.tries += 1;
                book.set(now);
            }
        }
        self.is_set.store(book.due.is_some(), SeqCst);
        std::mem::take(&mut book.is_held)
    }
}

impl Book {
    fn set(&mut self, now: Instant) {
        let wait = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.due = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::KafkaError;

    use super::*;

    fn with(offset: Offset) -> Begins {
        let (begins, mut list) = (Begins::default(), TopicPartitionList::new());
        list.add_partition_offset("orders", 0, offset).expect("an offset");
        begins.come(&list);
        begins
    }

    #[test]
    fn it_is_tried_again_and_less_and_less_often() {
        let (begins, mut now) = (with(Offset::Invalid), Instant::now());
        assert!(begins.look_later(now));
        assert!(!begins.look_later(now), "the time is set");
        let mut waits = Vec::new();
        for _ in 0..9 {
            let due = begins.due().expect("a failure sets a time anew");
            waits.push(due - now);
            now = due;
            begins.looked(now, &Err(KafkaError::Canceled));
        }
        assert_eq!(waits[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits[8], LONGEST);

        begins.looked(now, &Ok(true));
        assert_eq!(begins.due(), None, "if that was in vain there is an error again");
        assert!(begins.look_later(now));
        assert_eq!(begins.due(), Some(now + LONGEST));
        begins.looked(now, &Ok(true));
        now += QUIET;
        assert!(begins.look_later(now));
        assert_eq!(begins.due(), Some(now + FIRST), "that is another affair");
        begins.looked(now, &Ok(true));
        begins.looked(now, &Ok(false));
        assert!(begins.look_later(now));
        assert_eq!(begins.due(), Some(now + FIRST), "all were read meanwhile");
    }

    #[test]
    fn there_is_nothing_to_look_at_where_nothing_was_asked() {
        let now = Instant::now();
        assert!(!with(Offset::Offset(7)).look_later(now));
        assert!(!with(Offset::Beginning).look_later(now));
        let begins = with(Offset::Stored);
        begins.seek("orders", 0, Offset::Offset(1));
        assert!(!begins.look_later(now), "somebody said where");
        let begins = with(Offset::Stored);
        begins.leave("orders", 0);
        begins.seek("orders", 0, Offset::Invalid);
        assert!(!begins.look_later(now), "it is not here");
    }

    #[test]
    fn all_are_held_once_it_is_late_and_until_somebody_looked() {
        let (begins, now) = (with(Offset::Invalid), Instant::now());
        assert!(!begins.hold(now + LATE * 10), "nobody waits for anything");
        assert!(begins.look_later(now));
        assert!(!begins.hold(now + FIRST));
        assert!(begins.hold(now + FIRST + LATE));
        assert!(!begins.hold(now + FIRST + LATE));
        assert!(begins.looked(now, &Ok(false)));
        assert!(!begins.looked(now, &Ok(false)));
    }
}
