//! What the guard has counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Meter;
use throughline_core::root::{Allowed, Class};

use super::instruments;

/// How many names are told apart; an attacker who makes up names makes one more entry and no more.
const MAX_NAMES: usize = 128;

/// Stands for the names beyond.
const OTHER: &str = "_OTHER";

/// How often the same root is warned of.
const INTERVAL: Duration = Duration::from_secs(60);

/// Explains what happened, and what to do.
const PAGE: &str = "https://github.com/throughline-rs/throughline/blob/main/docs/lost-context.md";

#[derive(Debug, Default)]
pub(crate) struct Watch {
    inbound: AtomicU64,
    declared: AtomicU64,
    receive_or_settle: AtomicU64,
    orphans: AtomicU64,
    /// Whether a processor tells of sampled roots, with more than a sampler knows.
    detail: AtomicBool,
    names: Mutex<BTreeMap<String, Named>>,
}

#[derive(Debug)]
struct Named {
    class: Class,
    count: u64,
    warned: Option<Instant>,
    /// How many were counted when the last warning was written.
    told: u64,
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

    pub(super) fn orphan(&self, name: &str, class: Class, is_recorded: bool) {
        self.orphans.fetch_add(1, Relaxed);
        let due = self.note(name, class, |named| {
            named.count += 1;
            // One that is recorded is told by the processor, which knows more.
            !(is_recorded && self.detail.load(Relaxed))
        });
        if let Some(times) = due {
            warn(name, class, times, None);
        }
    }

    /// Tells of a root that was recorded; `described` says who made it, and where.
    pub(super) fn detail(&self, name: &str, class: Class, described: &dyn fmt::Display) {
        if let Some(times) = self.note(name, class, |_| true) {
            warn(name, class, times, Some(described));
        }
    }

    /// How many there were since the last warning, if one is due.
    fn note(&self, name: &str, class: Class, tell: impl FnOnce(&mut Named) -> bool) -> Option<u64> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if names.len() < MAX_NAMES || names.contains_key(name) { name } else { OTHER };
        if !names.contains_key(key) {
            let fresh = Named { class, count: 0, warned: None, told: 0 };
            names.insert(key.to_owned(), fresh);
        }
        let named = names.get_mut(key)?;
        if !tell(named) || named.warned.is_some_and(|warned| warned.elapsed() < INTERVAL) {
            return None;
        }
        named.warned = Some(Instant::now());
        let times = named.count - named.told;
        named.told = named.count;
        Some(times)
    }
}

fn warn(name: &str, class: Class, times: u64, described: Option<&dyn fmt::Display>) {
    let described = described.map(|described| format!(", {described}")).unwrap_or_default();
    tracing::warn!(
        target: "throughline",
        root = name,
        class = %class,
        times,
        "a trace is in pieces: the span {name:?} has lost its parent{described}; see {PAGE}"
    );
}

/// What a [`LineageGuard`](super::LineageGuard) has counted since it was made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lineage(Arc<Watch>);

/// Roots of one name that should have had a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRoot {
    /// The name of the spans; `_OTHER` for all names after the first 128.
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
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = names.iter().map(|(name, named)| LostRoot {
            name: name.clone(),
            class: named.class,
            count: named.count,
        });
        let mut lost: Vec<_> = lost.filter(|root| root.count > 0).collect();
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
