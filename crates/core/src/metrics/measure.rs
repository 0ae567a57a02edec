use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry::{Context, KeyValue, Value};

use super::instruments::{Instruments, Operation, Set};
use super::labels::Labels;
use crate::semconv;
use crate::span::End;

/// The measurement of one message, shared by whoever learns something of it: a router further in
/// knows the route.
#[derive(Clone)]
pub struct Measure(Arc<Shared>);

const MAX_SIZE: u64 = 1 << 40;

/// Which message of a context: what is sent for a message has its context as well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

struct Inbound(Measure);

struct Outbound(Measure);

struct Shared {
    started: Instant,
    instruments: Arc<Instruments>,
    told: Mutex<Told>,
    has_ended: AtomicBool,
    /// The bytes of the response, and one more: nought until somebody counts.
    counted: AtomicU64,
}

struct Told {
    operation: Operation,
    labels: Labels,
    /// Where active messages are counted: how many of the labels were there at the start, which is
    /// what they are told by.
    active: Option<usize>,
    request_size: Option<u64>,
    response_size: Option<u64>,
    messages: Option<u64>,
    /// Of these, where it isn't all of them or none: how many have failed.
    failed: Option<u64>,
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told();
        f.debug_struct("Measure")
            .field("operation", &told.operation)
            .field("labels", &told.labels.all())
            .finish_non_exhaustive()
    }
}

impl Measure {
    /// From now on. The labels that `describe` sets are also those of the active messages.
    pub(crate) fn start(
        instruments: &Arc<Instruments>,
        operation: Operation,
        describe: impl FnOnce(&mut Labels),
    ) -> Self {
        let mut labels = Labels::new();
        describe(&mut labels);
        if let Some(kind) = operation.messaging_type() {
            labels.set(semconv::MESSAGING_OPERATION_TYPE, kind);
        }
        let active = instruments.of(operation).active.as_ref().map(|active| {
            active.add(1, labels.all());
            labels.len()
        });
        Measure(Arc::new(Shared {
            started: Instant::now(),
            instruments: Arc::clone(instruments),
            told: Mutex::new(Told {
                operation,
                labels,
                active,
                request_size: None,
                response_size: None,
                messages: None,
                failed: None,
            }),
            has_ended: AtomicBool::new(false),
            counted: AtomicU64::new(0),
        }))
    }

    pub(crate) fn direction(&self) -> Direction {
        match self.told().operation {
            Operation::HttpServer | Operation::RpcServer | Operation::MessagingProcess => {
                Direction::Inbound
            }
            Operation::HttpClient
            | Operation::RpcClient
            | Operation::MessagingSend
            | Operation::MessagingReceive
            | Operation::MessagingSettle => Direction::Outbound,
        }
    }

    /// `context`, with this measurement for whoever handles the message in it.
    pub(crate) fn in_context(self, context: &Context) -> Context {
        match self.direction() {
            Direction::Inbound => context.with_value(Inbound(self)),
            Direction::Outbound => context.with_value(Outbound(self)),
        }
    }

    /// The measurement of the message that `context` is of.
    pub(crate) fn of(context: &Context, direction: Direction) -> Option<&Measure> {
        match direction {
            Direction::Inbound => context.get().map(|Inbound(measure)| measure),
            Direction::Outbound => context.get().map(|Outbound(measure)| measure),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the measurement of what is being sent here: an outer layer of the same client
    /// measures already.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let is_this = |other: &Measure| Arc::ptr_eq(&self.0, &other.0);
        Context::map_current(|current| {
            Measure::of(current, Direction::Outbound).is_some_and(is_this)
        }) && !self.has_ended()
    }

    /// Whether the message is through.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended.load(Relaxed)
    }

    /// Sets a label: of a bounded set, whoever calls.
    pub fn tell(&self, key: &'static str, value: impl Into<Value>) {
        self.told().labels.set(key, value);
    }

    /// Whether it is labelled so already.
    fn has(&self, key: &str) -> bool {
        self.told().labels.get(key).is_some()
    }

    /// Says why the message fails, as its handler knows it: the first call holds, over what the
    /// boundary would say at the end, too.
    /// Whether this is the first.
    pub(crate) fn fail(&self, error_type: &'static str) -> bool {
        let mut told = self.told();
        let is_first = !self.has_ended() && told.labels.get(semconv::ERROR_TYPE).is_none();
        if is_first {
            told.labels.set(semconv::ERROR_TYPE, error_type);
        }
        is_first
    }

    /// Sets a label that isn't set yet: whoever is further out knows it first.
    pub fn refine(&self, key: &'static str, value: impl FnOnce() -> Option<Value>) {
        if !self.has(key)
            && let Some(value) = value()
        {
            self.told().labels.set_first(key, value);
        }
    }

    /// It was something else, which shows only later: the labels of what it seemed to be are gone.
    pub fn becomes(&self, operation: Operation) {
        let mut told = self.told();
        self.leave(&told);
        told.operation = operation;
        told.labels = Labels::new();
        told.active = None;
    }

    /// Whether anybody wants to know the sizes of bodies.
    #[must_use]
    pub fn is_sized(&self) -> bool {
        self.set(&self.told()).request_size.is_some()
    }

    /// How many bytes were sent, where that is known. It may be what a stranger says: above a
    /// tebibyte it is believed no longer, since one such would drown all others in the sum.
    pub fn request_size(&self, bytes: Option<u64>) {
        self.told().request_size = bytes.filter(|bytes| *bytes <= MAX_SIZE);
    }

    /// How many bytes came back, where the head of the response says it; the same holds of it.
    pub fn response_size(&self, bytes: Option<u64>) {
        self.told().response_size = bytes.filter(|bytes| *bytes <= MAX_SIZE);
    }

    /// How many messages it is of, for the metric that counts those that were sent, or consumed.
    /// Without it they are not counted here: by the receiving of them, for one.
    pub fn messages(&self, count: u64) {
        self.told().messages = (count > 0).then_some(count);
    }

    /// How many of them have failed, where the others have not: these are counted without the reason.
    pub fn failed_messages(&self, count: u64) {
        self.told().failed = Some(count);
    }

    /// From now on the bytes of the response are counted.
    pub fn start_counting(&self) {
        self.0.counted.store(1, Relaxed);
    }

    /// So many more went by.
    #[inline]
    pub fn count(&self, bytes: u64) {
        self.0.counted.fetch_add(bytes, Relaxed);
    }

    fn set<'a>(&'a self, told: &Told) -> &'a Set {
        self.0.instruments.of(told.operation)
    }

    fn leave(&self, told: &Told) {
        // None of the labels of the start has changed.
        if let (Some(labels), Some(active)) = (told.active, &self.set(told).active) {
            active.add(-1, &told.labels.all()[..labels]);
        }
    }

    /// Once: later calls do nothing.
    pub(crate) fn end(&self, end: &End) {
        if self.0.has_ended.swap(true, Relaxed) {
            return;
        }
        if std::thread::panicking() {
            // A second panic, in whatever meters there are, would end the process.
            drop(catch_unwind(AssertUnwindSafe(|| self.record(end))));
        } else {
            self.record(end);
        }
    }

    fn record(&self, end: &End) {
        let elapsed = self.0.started.elapsed().as_secs_f64();
        let mut told = self.told();
        self.leave(&told);
        if let Some(error_type) = end.error_type() {
            told.labels.set_first(semconv::ERROR_TYPE, error_type);
        }
        let set = self.set(&told);
        let labels = told.labels.all();
        set.duration.record(elapsed, labels);
        if let Some(old) = &set.old_duration {
            old.record(elapsed * 1_000.0, &older(&told.labels));
        }
        if let (Some(size), Some(bytes)) = (&set.request_size, told.request_size) {
            size.record(bytes, labels);
        }
        if let (Some(messages), Some(count)) = (&set.messages, told.messages) {
            let failed = told.failed.map_or(count, |failed| failed.min(count));
            let others = count - failed;
            if failed > 0 || others == 0 {
                messages.add(failed, labels);
            }
            if others > 0 {
                let is_reason = |label: &KeyValue| label.key.as_str() == semconv::ERROR_TYPE;
                let labels: Vec<_> = labels.iter().filter(|it| !is_reason(it)).cloned().collect();
                messages.add(others, &labels);
            }
        }
        let counted = self.0.counted.load(Relaxed).checked_sub(1);
        if let (Some(size), Some(bytes)) = (&set.response_size, counted.or(told.response_size)) {
            size.record(bytes, labels);
        }
    }
}

/// The labels of a call by the names that were before.
#[cold]
fn older(labels: &Labels) -> Vec<KeyValue> {
    crate::rpc::older(|key| labels.get(key).cloned())
}
