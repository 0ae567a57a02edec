use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::Context;
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::ShouldSample;
use throughline_lineage::{Span, SpanId, TraceId};
use tokio::sync::Notify;

use super::provider::Sink;
use crate::convert::ids;

/// What one recorder keeps.
pub(crate) struct Store {
    sampler: Box<dyn ShouldSample>,
    state: Mutex<State>,
    changed: Notify,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<Kept>,
    by_id: HashMap<(TraceId, SpanId), usize>,
    /// In the order of their ends.
    ended: Vec<usize>,
    /// Names of spans that belong to no scope, and that this one may have lost.
    strays: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    span: Span,
    is_ended: bool,
    /// How often `end` was called on it. A span that ends by its drop was never told to.
    calls: u32,
}

impl Store {
    pub(super) fn new(sampler: impl ShouldSample + 'static) -> Self {
        Store { sampler: Box::new(sampler), state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sampler(&self) -> &dyn ShouldSample {
        &*self.sampler
    }

    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(super) fn ended_spans(&self) -> Vec<Span> {
        let state = self.state();
        state.ended.iter().map(|index| state.spans[*index].span.clone()).collect()
    }

    pub(super) fn open_spans(&self) -> Vec<Span> {
        let state = self.state();
        state.spans.iter().filter(|kept| !kept.is_ended).map(|kept| kept.span.clone()).collect()
    }

    /// Both, as they are at one moment.
    pub(super) fn all_spans(&self) -> Vec<Span> {
        self.state().spans.iter().map(|kept| kept.span.clone()).collect()
    }

    pub(super) fn ended_twice(&self) -> Vec<(String, u32)> {
        let state = self.state();
        let twice = state.spans.iter().filter(|kept| kept.calls > 1);
        twice.map(|kept| (kept.span.name.clone(), kept.calls)).collect()
    }

    pub(super) fn strays(&self) -> Vec<String> {
        self.state().strays.clone()
    }

    pub(super) fn stray(&self, name: &str) {
        self.state().strays.push(name.to_owned());
    }

    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }
}

impl State {
    fn keep(&mut self, span: Span) -> usize {
        let index = self.spans.len();
        self.by_id.insert((span.trace_id, span.span_id), index);
        self.spans.push(Kept { span, is_ended: false, calls: 0 });
        index
    }
}

impl Sink for Store {
    fn started(&self, span: Span, _: &Context) {
        self.state().keep(span);
        self.changed.notify_waiters();
    }

    fn end_called(&self, context: &SpanContext) {
        let mut state = self.state();
        let index = ids(context).and_then(|id| state.by_id.get(&id).copied());
        if let Some(index) = index {
            state.spans[index].calls += 1;
        }
    }

    fn ended(&self, span: Span) {
        let mut state = self.state();
        let known = state.by_id.get(&(span.trace_id, span.span_id)).copied();
        // One that was started before the recorder was cleared is none of its spans any more.
        if let Some(index) = known {
            state.spans[index].span = span;
            state.spans[index].is_ended = true;
            state.ended.push(index);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}
