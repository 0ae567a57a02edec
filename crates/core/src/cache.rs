//! What comes with nearly every message, made once and shared: user agents, hosts, baggage.
//!
//! Small tables, one of each a thread, without a lock. A value takes the place that a cheap hash gives it,
//! so whoever sends many different values only makes the table useless to itself.

use std::cell::RefCell;
use std::sync::Arc;

/// Longer values aren't kept: a table of strings stays below 16 KiB.
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
    STRINGS.with(|table| {
        table.get_or(value, || {
            let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
            std::str::from_utf8(value).ok().filter(|_| is_visible).map(Arc::from)
        })
    })
}

impl<T: Clone, const SLOTS: usize> Table<T, SLOTS> {
    pub(crate) const fn new() -> Self {
        Table(RefCell::new([const { None }; SLOTS]))
    }

    /// What was made of `key`, or is now made of it.
    #[inline]
    pub(crate) fn get_or(&self, key: &[u8], make: impl FnOnce() -> Option<T>) -> Option<T> {
        if key.is_empty() || key.len() > MAX_LEN {
            return make();
        }
        let (last, middle) = (usize::from(key[key.len() - 1]), usize::from(key[key.len() / 2]));
        let mix = key.len() ^ last ^ middle << 1;
        let mut slots = self.0.borrow_mut();
        let slot = &mut slots[mix % SLOTS];
        match slot {
            Some((held, value)) if **held == *key => Some(value.clone()),
            _ => replace(slot, key, make),
        }
    }
}

#[cold]
fn replace<T: Clone>(
    slot: &mut Slot<T>,
    key: &[u8],
    make: impl FnOnce() -> Option<T>,
) -> Option<T> {
    let value = make()?;
    *slot = Some((key.into(), value.clone()));
    Some(value)
}
