//! What the guard has counted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Meter;
use opentelemetry::trace::TraceId;
use throughline_core::root::{Allowed, Class};

use super::instruments;
use super::warn::{Line, warn};

/// How many names of a class are told apart; an attacker who makes up names makes one more entry and
/// no more.
const MAX_NAMES: usize = 128;

/// How much is kept of a name, in bytes.
const MAX_NAME: usize = 256;

/// Stands for the names beyond.
const OTHER: &str = "_OTHER";

/// How often the same root is warned of.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Watch {
    inbound: AtomicU64,
    declared: AtomicU64,
    receive_or_settle: AtomicU64,
    orphans: AtomicU64,
    /// Whether a processor tells of recorded roots, with more than a sampler knows.
    detail: AtomicBool,
    classes: [Mutex<BTreeMap<String, Named>>; Class::ALL.len()],
}

#[derive(Debug, Default)]
struct Named {
    count: u64,
    warned: Option<Instant>,
    /// How many were counted when the last warning was written.
    told: u64,
}

thread_local! {
    /// The root that was just sampled here: its processor is called next, and knows more of it.
    static DUE: RefCell<Option<(TraceId, Line)>> = const { RefCell::new(None) };
}

impl Watch {
    pub(super) fn expect_detail(&self) {
        self.detail.store(true, Relaxed);
    }

    pub(super) fn allowed(&self, why: Allowed) {
        let counter = match why {
            Allowed::Inbound => &self.inbound,
            Allowed::Declared => &self.declared,
            Allowed::ReceiveOrSettle => &self.receive_or_settle,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a root that should have had a parent, and has it told of if that is due.
    pub(super) fn orphan(&self, name: &str, class: Class, trace: TraceId, is_recorded: bool) {
        self.orphans.fetch_add(1, Relaxed);
        let Some(times) = self.note(name, class) else { return };
        let line = Line { name: cut(name).to_owned(), class, times, described: None };
        if is_recorded && self.detail.load(Relaxed) {
            // Taken by nobody while it is borrowed: nothing of others is called meanwhile.
            let before = DUE.try_with(|due| due.replace(Some((trace, line))));
            // A span that didn't come to its processor.
            before.ok().flatten().into_iter().for_each(|(_, line)| warn(line));
        } else {
            warn(line);
        }
    }

    /// Tells of the root of this trace, if that is due; `describe` says who made it, and where.
    pub(super) fn detail(trace: TraceId, describe: impl FnOnce() -> Option<String>) {
        let is_due = |due: &mut Option<(TraceId, Line)>| {
            due.take_if(|(of, _)| *of == trace).map(|(_, line)| line)
        };
        if let Some(line) = DUE.try_with(|due| is_due(&mut due.borrow_mut())).ok().flatten() {
            warn(Line { described: describe(), ..line });
        }
    }

    /// How many there were since the last warning, if one is due.
    fn note(&self, name: &str, class: Class) -> Option<u64> {
        let names = Class::ALL.iter().position(|one| *one == class).map(|at| &self.classes[at])?;
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = cut(name);
        let key = if names.len() < MAX_NAMES || names.contains_key(name) { name } else { OTHER };
        if !names.contains_key(key) {
            names.insert(key.to_owned(), Named::default());
        }
        let named = names.get_mut(key)?;
        named.count += 1;
        if named.warned.is_some_and(|warned| warned.elapsed() < INTERVAL) {
            return None;
        }
        named.warned = Some(Instant::now());
        let times = named.count - named.told;
        named.told = named.count;
        Some(times)
    }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

/// What a [`LineageGuard`](super::LineageGuard) has counted since it was made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lineage(Arc<Watch>);

/// Roots of one name that should have had a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRoot {
    /// The name they were started with, its first 256 bytes; `_OTHER` for all names of a class after
    /// the first 128.
    pub name: String,
    /// The boundary that lost the context, as far as a span tells.
    pub class: Class,
    /// How many there were.
    pub count: u64,
}

impl Lineage {
    pub(super) fn of(watch: Arc<Watch>) -> Self {
        Lineage(watch)
    }

    /// How many roots should have had a parent.
    #[must_use]
    pub fn orphans(&self) -> u64 {
        self.0.orphans.load(Relaxed)
    }

    /// The same by name, the most frequent first.
    #[must_use]
    pub fn lost_roots(&self) -> Vec<LostRoot> {
        let lost = Class::ALL.iter().zip(&self.0.classes).flat_map(|(class, names)| {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            let of = |(name, named): (&String, &Named)| LostRoot {
                name: name.clone(),
                class: *class,
                count: named.count,
            };
            names.iter().map(of).collect::<Vec<_>>()
        });
        let mut lost: Vec<_> = lost.collect();
        lost.sort_by_key(|root| std::cmp::Reverse(root.count));
        lost
    }

    /// How many roots there were by right, of each kind.
    #[must_use]
    pub fn allowed(&self, why: Allowed) -> u64 {
        let counter = match why {
            Allowed::Inbound => &self.0.inbound,
            Allowed::Declared => &self.0.declared,
            Allowed::ReceiveOrSettle => &self.0.receive_or_settle,
        };
        counter.load(Relaxed)
    }

    /// Shows these counts, and those of [`throughline_core::outcomes`], as metrics of `meter`:
    /// `throughline.roots`, `throughline.orphans`, `throughline.extractions` and
    /// `throughline.injections`, with attributes of a bounded set.
    ///
    /// For as long as the meter's provider lives. Call it once.
    pub fn observe(&self, meter: &Meter) {
        instruments::register(self, meter);
    }
}
