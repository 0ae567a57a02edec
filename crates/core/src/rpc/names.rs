use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::cache::Table;

/// How many methods are kept for ever. A server has fewer, and only those are kept that it has
/// answered.
const MAX_KNOWN: usize = 4096;

/// A longer name is no method of anybody's.
pub(super) const MAX_NAME: usize = 256;

/// The name of a method as it was called: `orders.v1.Orders/Place` of the path
/// `/orders.v1.Orders/Place`.
#[must_use]
pub fn called(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// A method as telemetry may name it: one that is known, by a name that costs no allocation.
///
/// Anybody can call what there isn't, and make up its name: that is neither the name of a span nor
/// the value of an attribute that has few.
#[must_use]
pub fn method(path: &str, side: Side) -> Option<&'static str> {
    side.known(called(path))
}

/// Who knows a method: what a process calls it doesn't serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It knows the methods that it has answered itself, and not somebody before it.
    Server,
    /// It knows what it calls, which is written in its program.
    Client,
}

/// Keeps the name of a method that is known to this side; what it is called from now on.
#[must_use]
pub fn keep(path: &str, side: Side) -> Cow<'static, str> {
    let called = called(path);
    match side.known(called).or_else(|| side.keep(called)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(called.to_owned()),
    }
}

type Names = Mutex<Option<HashSet<&'static str>>>;

static SERVED: Names = Mutex::new(None);
static CALLED: Names = Mutex::new(None);

thread_local! {
    static RECENTLY_SERVED: Table<&'static str, 32> = const { Table::new() };
    static RECENTLY_CALLED: Table<&'static str, 32> = const { Table::new() };
}

impl Side {
    fn known(self, called: &str) -> Option<&'static str> {
        let (names, recent) = match self {
            Side::Server => (&SERVED, &RECENTLY_SERVED),
            Side::Client => (&CALLED, &RECENTLY_CALLED),
        };
        Table::get(recent, called.as_bytes(), || {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            names.as_ref()?.get(called).copied()
        })
    }

    #[cold]
    fn keep(self, called: &str) -> Option<&'static str> {
        let names = match self {
            Side::Server => &SERVED,
            Side::Client => &CALLED,
        };
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_default();
        let is_few = names.len() < MAX_KNOWN && called.len() <= MAX_NAME;
        if let Some(name) = names.get(called) {
            return Some(name);
        }
        is_few.then(|| {
            let name: &'static str = String::leak(called.to_owned());
            names.insert(name);
            name
        })
    }
}
