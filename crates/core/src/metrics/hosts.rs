//! The hosts that measurements are told of: those that are called first, and not without end.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use crate::http::Host;

/// A program calls fewer, but for one that follows links, or that calls back whom it is told to.
const MAX_HOSTS: usize = 256;

/// Whether measurements may name this host, with its port: each is a series.
pub(super) fn are_told(host: &Host) -> bool {
    static ADMITTED: RwLock<Option<HashSet<Host>>> = RwLock::new(None);
    {
        // Nearly always this is all, and nobody waits for anybody.
        let admitted = ADMITTED.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(admitted) = &*admitted
            && (admitted.contains(host) || admitted.len() >= MAX_HOSTS)
        {
            return admitted.contains(host);
        }
    }
    let mut admitted = ADMITTED.write().unwrap_or_else(PoisonError::into_inner);
    let admitted = admitted.get_or_insert_default();
    admitted.contains(host) || admitted.len() < MAX_HOSTS && admitted.insert(host.clone())
}
