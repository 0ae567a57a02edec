//! Traces built from spans.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use throughline_core::root::{Allowed, Verdict};

use crate::id::{SpanId, TraceId};
use crate::span::Span;

/// Every trace that was received, earliest first.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    traces: Vec<Trace>,
    duplicates: usize,
}

impl Forest {
    /// Builds the traces of these spans, which may come in any order.
    ///
    /// A span that comes twice, as re-delivered spans do, is kept once.
    pub fn new(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut by_trace: HashMap<TraceId, HashMap<SpanId, Span>> = HashMap::new();
        let mut duplicates = 0;
        for span in spans {
            match by_trace.entry(span.trace_id).or_default().entry(span.span_id) {
                Entry::Occupied(_) => duplicates += 1,
                Entry::Vacant(place) => {
                    place.insert(span);
                }
            }
        }
        let mut traces: Vec<_> = by_trace
            .into_iter()
            .map(|(id, spans)| Trace::new(id, spans.into_values().collect()))
            .collect();
        traces.sort_by_key(|trace| (trace.start_time_unix_nano(), trace.id));
        Self { traces, duplicates }
    }

    /// The traces, by their start.
    #[must_use]
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }

    /// Every span of every trace.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.traces.iter().flat_map(Trace::nodes)
    }

    /// How many spans were dropped because they had come before.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }
}

/// The spans of one trace, as a tree; as several, if the trace is in pieces.
#[derive(Clone, Debug)]
pub struct Trace {
    id: TraceId,
    /// By start, so that children found in this order are sorted too.
    spans: Vec<Span>,
    by_id: HashMap<SpanId, usize>,
    places: Vec<Place>,
    tops: Vec<usize>,
    /// Every span after its parent: the order in which a tree is printed.
    order: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    parent: Option<usize>,
    children: Vec<usize>,
    depth: usize,
    cycle: bool,
}

impl Trace {
    fn new(id: TraceId, mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.span_id));
        let by_id: HashMap<SpanId, usize> =
            spans.iter().enumerate().map(|(index, span)| (span.span_id, index)).collect();
        let mut places = vec![Place::default(); spans.len()];
        for (index, span) in spans.iter().enumerate() {
            let parent = span.parent.and_then(|parent| by_id.get(&parent).copied());
            places[index].parent = parent;
            if let Some(parent) = parent {
                places[parent].children.push(index);
            }
        }
        let tops = places.iter().enumerate().filter(|(_, place)| place.parent.is_none());
        let tops = tops.map(|(index, _)| index).collect();
        let mut trace = Self { id, spans, by_id, places, tops, order: Vec::new() };
        trace.cut_cycles();
        trace.order = trace.walk(&trace.tops);
        for index in 0..trace.order.len() {
            let index = trace.order[index];
            if let Some(parent) = trace.places[index].parent {
                trace.places[index].depth = trace.places[parent].depth + 1;
            }
        }
        trace
    }

    /// Spans that are their own ancestors hang under no top. Each ring is cut at its earliest
    /// span, which becomes a top of its own: a span that was received is never lost from sight.
    fn cut_cycles(&mut self) {
        let mut seen = vec![false; self.spans.len()];
        for index in self.walk(&self.tops) {
            seen[index] = true;
        }
        for start in 0..self.spans.len() {
            if seen[start] {
                continue;
            }
            let Some(cut) = self.ring_above(start).into_iter().min() else { continue };
            if let Some(parent) = self.places[cut].parent.take() {
                self.places[parent].children.retain(|child| *child != cut);
            }
            self.places[cut].cycle = true;
            self.tops.push(cut);
            for index in self.walk(&[cut]) {
                seen[index] = true;
            }
        }
        self.tops.sort_unstable();
    }

    /// The ring of spans that one arrives at by going from parent to parent.
    fn ring_above(&self, start: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut steps = HashMap::new();
        let mut at = start;
        loop {
            if let Some(step) = steps.insert(at, path.len()) {
                return path.split_off(step);
            }
            path.push(at);
            match self.places[at].parent {
                Some(parent) => at = parent,
                None => return Vec::new(),
            }
        }
    }

    /// Every span at and under these, parents first. A loop, since a hostile trace can be deeper
    /// than the stack.
    fn walk(&self, tops: &[usize]) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.spans.len());
        let mut stack: Vec<usize> = tops.iter().rev().copied().collect();
        while let Some(index) = stack.pop() {
            order.push(index);
            stack.extend(self.places[index].children.iter().rev());
        }
        order
    }

    /// The id its spans share.
    #[must_use]
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// Every span, each after its parent and the earlier siblings' descendants.
    #[must_use]
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node<'_>> {
        self.order.iter().map(|index| Node { trace: self, index: *index })
    }

    /// The spans that stand under no other: one if the trace is whole.
    #[must_use]
    pub fn tops(&self) -> impl ExactSizeIterator<Item = Node<'_>> {
        self.tops.iter().map(|index| Node { trace: self, index: *index })
    }

    /// The span with this id.
    #[must_use]
    pub fn node(&self, id: SpanId) -> Option<Node<'_>> {
        self.by_id.get(&id).map(|index| Node { trace: self, index: *index })
    }

    /// The names of the services that took part.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&str> {
        self.spans.iter().filter_map(Span::service).collect()
    }

    /// Whether it is one call that fetches messages, or that deletes or gives back what was handled:
    /// such a call is made for the messages of many traces, and so stands in none of them.
    #[must_use]
    pub fn is_housekeeping(&self) -> bool {
        let mut nodes = self.nodes();
        let (Some(node), None) = (nodes.next(), nodes.next()) else { return false };
        node.top() == Some(Top::Root)
            && node.span().facts().judge() == Verdict::Allowed(Allowed::ReceiveOrSettle)
    }

    /// The start of its root, in nanoseconds since 1970: of its earliest top, if it is in pieces.
    ///
    /// Where the clocks of two hosts disagree, other spans may seem to start before it.
    #[must_use]
    pub fn start_time_unix_nano(&self) -> u64 {
        self.tops().next().map_or(0, |top| top.span().start_time_unix_nano)
    }

    /// The end of its latest span, in nanoseconds since 1970.
    #[must_use]
    pub fn end_time_unix_nano(&self) -> u64 {
        self.spans.iter().map(|span| span.end_time_unix_nano).max().unwrap_or(0)
    }
}

/// A span in its place in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    trace: &'a Trace,
    index: usize,
}

/// Why a span stands under no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// It has no parent.
    Root,
    /// Its parent was not received.
    ParentMissing(SpanId),
    /// It is its own ancestor, which no correct sender does.
    Cycle,
}

impl<'a> Node<'a> {
    fn place(self) -> &'a Place {
        &self.trace.places[self.index]
    }

    /// The span.
    #[must_use]
    pub fn span(self) -> &'a Span {
        &self.trace.spans[self.index]
    }

    /// The span it stands under.
    #[must_use]
    pub fn parent(self) -> Option<Node<'a>> {
        self.place().parent.map(|index| Node { index, ..self })
    }

    /// The spans under it, by their start.
    #[must_use]
    pub fn children(self) -> impl ExactSizeIterator<Item = Node<'a>> + DoubleEndedIterator {
        self.place().children.iter().map(move |index| Node { index: *index, ..self })
    }

    /// How many spans it stands under.
    #[must_use]
    pub fn depth(self) -> usize {
        self.place().depth
    }

    /// Why it stands under no other; `None` if it does.
    #[must_use]
    pub fn top(self) -> Option<Top> {
        match (self.place(), self.span().parent) {
            (Place { parent: Some(_), .. }, _) => None,
            (Place { cycle: true, .. }, _) => Some(Top::Cycle),
            (_, Some(parent)) => Some(Top::ParentMissing(parent)),
            (_, None) => Some(Top::Root),
        }
    }
}
