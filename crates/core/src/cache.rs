//! What comes with nearly every message, made once and shared: user agents, hosts, baggage.
//!
//! Small tables, one of each a thread, without a lock. A value takes the place that a cheap hash
//! gives it, so whoever sends many different values only makes the table useless to itself.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

/// Longer values aren't kept: a table of strings stays below 20 KiB.
const MAX_LEN: usize = 256;

/// Bytes, and what was made of them.
type Slot<T> = Option<(Box<[u8]>, T)>;

/// What was made of the bytes that came last in each slot.
pub(crate) struct Table<T, const SLOTS: usize>(RefCell<[Slot<T>; SLOTS]>);

thread_local! {
    static STRINGS: Table<Arc<str>, 32> = const { Table::new() };
}

/// The value of a header as a shared string, or `None` if it isn't visible ASCII.
#[must_use]
#[inline]
pub fn shared_str(value: &[u8]) -> Option<Arc<str>> {
    Table::get(&STRINGS, value, || {
        let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        std::str::from_utf8(value).ok().filter(|_| is_visible).map(Arc::from)
    })
}

impl<T: Clone + 'static, const SLOTS: usize> Table<T, SLOTS> {
    pub(crate) const fn new() -> Self {
        Table(RefCell::new([const { None }; SLOTS]))
    }

    /// What was made of `key` on this thread, or is now made of it. At the end of a thread, when
    /// its tables are gone, everything is made anew.
    #[inline(always)]
    pub(crate) fn get(
        table: &'static LocalKey<Self>,
        key: &[u8],
        make: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        match table.try_with(|table| table.held(key)) {
            Ok(Some(value)) => Some(value),
            Ok(None) | Err(_) => Table::keep(table, key, make),
        }
    }

    #[inline(always)]
    fn held(&self, key: &[u8]) -> Option<T> {
        let slots = self.0.try_borrow().ok()?;
        match &slots[Table::<T, SLOTS>::place(key)?] {
            Some((held, value)) if **held == *key => Some(value.clone()),
            _ => None,
        }
    }

    #[cold]
    fn keep(
        table: &'static LocalKey<Self>,
        key: &[u8],
        make: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let value = make()?;
        let kept = Table::<T, SLOTS>::place(key).map(|place| (place, (key.into(), value.clone())));
        // What stood there is dropped once nothing is borrowed.
        let before = kept.and_then(|(place, slot)| {
            table.try_with(|table| table.0.try_borrow_mut().ok()?[place].replace(slot)).ok()?
        });
        drop(before);
        Some(value)
    }

    /// Where a key is kept, if it is.
    #[inline(always)]
    fn place(key: &[u8]) -> Option<usize> {
        if key.is_empty() || key.len() > MAX_LEN {
            return None;
        }
        let (last, middle) = (usize::from(key[key.len() - 1]), usize::from(key[key.len() / 2]));
        Some((key.len() ^ last ^ middle << 1) % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a thread of no trace")]
    fn the_end_of_a_thread_does_no_harm() {
        static TOLD: Mutex<Option<Option<Arc<str>>>> = Mutex::new(None);
        struct AtTheEnd;
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                *TOLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(shared_str(b"late"));
            }
        }
        thread_local! {
            static LATE: AtTheEnd = const { AtTheEnd };
        }
        let thread = std::thread::spawn(|| {
            // Made first, dropped last.
            LATE.with(|_| ());
            shared_str(b"early")
        });
        assert_eq!(thread.join().ok().flatten().as_deref(), Some("early"));
        let told = TOLD.lock().map(|mut told| told.take()).ok().flatten().flatten();
        assert_eq!(told.as_deref(), Some("late"));
    }

    #[test]
    fn what_is_made_may_make_more() {
        let outer = Table::get(&STRINGS, b"outer", || shared_str(b"outer"));
        assert_eq!(outer.as_deref(), Some("outer"));
    }
}
