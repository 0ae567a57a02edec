//! The hosts that measurements are told of: those that are called first, and not without end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::Table;
use crate::semconv::OTHER;

/// A program calls fewer, but for one that follows links.
const MAX_HOSTS: usize = 256;

thread_local! {
    static RECENT: Table<Arc<str>, 32> = const { Table::new() };
}

/// The host as measurements may name it; `_OTHER` once too many were.
pub(super) fn bounded(address: &Arc<str>) -> Arc<str> {
    Table::get(&RECENT, address.as_bytes(), || Some(admit(address)))
        .unwrap_or_else(|| Arc::from(OTHER))
}

#[cold]
fn admit(address: &Arc<str>) -> Arc<str> {
    static ADMITTED: Mutex<Option<HashSet<Arc<str>>>> = Mutex::new(None);
    let mut admitted = ADMITTED.lock().unwrap_or_else(PoisonError::into_inner);
    let admitted = admitted.get_or_insert_default();
    if admitted.contains(address) {
        return Arc::clone(address);
    }
    if admitted.len() >= MAX_HOSTS {
        return Arc::from(OTHER);
    }
    admitted.insert(Arc::clone(address));
    Arc::clone(address)
}
