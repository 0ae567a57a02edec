//! The hosts that measurements are told of: those that are called first, and not without end.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::http::Host;

/// A program calls fewer, but for one that follows links, or that calls back whom it is told to.
const MAX_HOSTS: usize = 256;

/// Whether measurements may name this host, with its port: each is a series.
pub(super) fn are_told(host: &Host) -> bool {
    static ADMITTED: Mutex<Option<HashSet<Host>>> = Mutex::new(None);
    let mut admitted = ADMITTED.lock().unwrap_or_else(PoisonError::into_inner);
    let admitted = admitted.get_or_insert_default();
    admitted.contains(host) || admitted.len() < MAX_HOSTS && admitted.insert(host.clone())
}
