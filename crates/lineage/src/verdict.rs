//! The verdict: which spans have lost their context, and where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use throughline_core::root::{self, Class};

use crate::forest::{Forest, Node, Top, Trace};
use crate::id::{SpanId, TraceId};
use crate::json;
use crate::process::{Origin, Processes};
use crate::span::Span;

/// What a judge cannot see in the spans.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Parents of spans that ended after this moment may still come.
    settled_until: Option<u64>,
    open_to: BTreeSet<String>,
}

impl Settings {
    /// For a recording that is complete: whatever has not come never will.
    #[must_use]
    pub fn complete() -> Self {
        Self::default()
    }

    /// For spans that still come in: a parent that is missing `settle` after its child ended is
    /// taken for lost. Give it longer than the longest span and the exporters' delay.
    #[must_use]
    pub fn live(now: SystemTime, settle: Duration) -> Self {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let settled = now.saturating_sub(settle).as_nanos();
        Self { settled_until: Some(u64::try_from(settled).unwrap_or(u64::MAX)), ..Self::default() }
    }

    /// Lets this service continue the traces of callers whose spans are not received here.
    #[must_use]
    pub fn allow_external(mut self, service: impl Into<String>) -> Self {
        self.open_to.insert(service.into());
        self
    }
}

/// What became of a set of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The figures.
    pub summary: Summary,
    /// Every orphan, by its start.
    pub breaks: Vec<Break>,
    /// Spans whose parent may still come, by their start.
    pub pending: Vec<Break>,
}

impl Verdict {
    /// Whether no context was lost, as far as it can be told yet.
    #[must_use]
    pub fn is_unbroken(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// The figures of a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many traces there are.
    pub traces: usize,
    /// How many of them hold an orphan.
    pub broken_traces: usize,
    /// How many spans there are, those that came twice counted once.
    pub spans: usize,
    /// How many spans were dropped because they had come before.
    pub duplicates: usize,
    /// The services that sent them.
    pub services: BTreeSet<String>,
    /// How many spans have lost their context.
    pub orphans: usize,
    /// How many spans wait for a parent that may still come.
    pub pending: usize,
    /// How many spans rightly continue somebody else's trace.
    pub external_allowed: usize,
    /// How often a context crossed a boundary between processes whole. What a task or a thread
    /// carried leaves no trace in the spans.
    #[serde(serialize_with = "json::by_class")]
    pub boundaries: BTreeMap<Class, usize>,
}

/// A span that has lost its context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    /// The boundary that lost it.
    #[serde(serialize_with = "json::class")]
    pub class: Class,
    /// How it stands with the parent.
    pub answer: Answer,
    /// The service that sent the span.
    pub service: String,
    /// The name of the span.
    pub span: String,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Why it is held for an orphan, in a sentence.
    pub reason: String,
    /// The call to use instead; `None` where no call of ours would have helped.
    pub replacement: Option<&'static str>,
}

/// How it stands with an orphan's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// There is none, and there should be.
    Broken,
    /// It may still be open, or on its way.
    Pending,
    /// It was in another process, and never came: it belongs to somebody outside.
    External,
}

impl Answer {
    /// The answer in one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Pending => "pending",
            Self::External => "external",
        }
    }
}

/// The call that keeps the context where a break of this class lost it, if there is one yet.
#[must_use]
pub const fn replacement(class: Class) -> Option<&'static str> {
    match class {
        Class::Http => Some("throughline::reqwest::ClientMiddleware"),
        Class::Task => {
            Some("throughline::task::spawn (spawn_blocking; spawn_linked for a trace of its own)")
        }
        Class::Kafka => Some("throughline::kafka::FutureProducer"),
        Class::Grpc => Some("throughline::tonic::ClientLayer"),
        Class::Sqs => Some("throughline::sqs::Interceptor on the sender's client"),
        Class::Process => None,
    }
}

impl Forest {
    /// Judges every trace, by nothing but the spans that were received.
    #[must_use]
    pub fn judge(&self, settings: &Settings) -> Verdict {
        let processes = Processes::of(self);
        let mut verdict = Verdict::default();
        for trace in self.traces() {
            let before = verdict.breaks.len();
            judge_tops(trace, settings, &processes, &mut verdict);
            let summary = &mut verdict.summary;
            summary.traces += 1;
            summary.broken_traces += usize::from(verdict.breaks.len() > before);
            summary.spans += trace.nodes().len();
            summary.services.extend(trace.services().into_iter().map(str::to_owned));
            for class in trace.nodes().filter_map(crossing) {
                *summary.boundaries.entry(class).or_default() += 1;
            }
        }
        verdict.summary.duplicates = self.duplicates();
        verdict.summary.orphans = verdict.breaks.len();
        verdict.summary.pending = verdict.pending.len();
        verdict
    }
}

fn judge_tops(
    trace: &Trace,
    settings: &Settings,
    processes: &Processes<'_>,
    verdict: &mut Verdict,
) {
    // Siblings wait for the same parent: it may still be open while the latest of them has only
    // just ended, however long ago the others did.
    let mut last_ends: HashMap<SpanId, u64> = HashMap::new();
    for node in trace.tops() {
        if let Some(Top::ParentMissing(parent)) = node.top() {
            let last = last_ends.entry(parent).or_default();
            *last = (*last).max(node.span().end_time_unix_nano);
        }
    }
    for node in trace.tops() {
        let span = node.span();
        let Some(top) = node.top() else { continue };
        let found = match top {
            Top::Root if span.facts().judge() != root::Verdict::Orphan => continue,
            Top::Root => lost_root(span, processes),
            Top::Cycle => {
                let reason = "it is its own ancestor, which no correct sender does; look for two spans with one id";
                orphan(span, Answer::Broken, reason.to_owned())
            }
            Top::ParentMissing(parent) => {
                let last_end = last_ends.get(&parent).copied().unwrap_or_default();
                if settings.settled_until.is_some_and(|settled| last_end > settled) {
                    let reason = format!(
                        "its parent {parent} has not come yet; it may be open, or on its way"
                    );
                    verdict.pending.push(orphan(span, Answer::Pending, reason));
                    continue;
                }
                let external = span.parent_is_remote() == Some(true);
                if external && span.service().is_some_and(|name| settings.open_to.contains(name)) {
                    verdict.summary.external_allowed += 1;
                    continue;
                }
                missing(span, parent, external)
            }
        };
        verdict.breaks.push(found);
    }
    let below = trace.nodes().filter(|node| node.top().is_none());
    for node in below.filter(|node| node.span().facts().lacks_sender()) {
        verdict.breaks.push(lost_root(node.span(), processes));
    }
}

fn orphan(span: &Span, answer: Answer, reason: String) -> Break {
    Break {
        class: span.facts().class(),
        answer,
        service: span.service().unwrap_or("unknown service").to_owned(),
        span: span.name.clone(),
        trace_id: span.trace_id,
        span_id: span.span_id,
        reason,
        replacement: None,
    }
}

fn lost_root(span: &Span, processes: &Processes<'_>) -> Break {
    let mut found = orphan(span, Answer::Broken, String::new());
    if span.kind.is_inbound() {
        found.reason =
            "a parent was expected here, but what came in carried no context to continue"
                .to_owned();
    } else if let Some(service) = processes.started_by(span) {
        found.class = Class::Process;
        found.reason = format!(
            "it is the first span of a process that {service} started without handing it the context"
        );
    } else {
        found.reason = format!(
            "nobody carried the context to where this {} span was started: a spawn, a thread or a channel",
            span.kind
        );
    }
    found.replacement = replacement(found.class);
    found
}

fn missing(span: &Span, parent: SpanId, external: bool) -> Break {
    let (answer, reason) = if external {
        (
            Answer::External,
            format!(
                "its parent {parent} was in another process and never came: it belongs to somebody outside, or its service sends its spans elsewhere or not at all"
            ),
        )
    } else {
        (
            Answer::Broken,
            format!("its parent {parent} never came: it was never ended, or lost on its way here"),
        )
    };
    orphan(span, answer, reason)
}

/// The boundary between a span and its parent, if there is one.
fn crossing(node: Node<'_>) -> Option<Class> {
    let (span, parent) = (node.span(), node.parent()?.span());
    if let Some(class) = span.facts().protocol() {
        return Some(class);
    }
    (Origin::of(span) != Origin::of(parent)).then_some(Class::Process)
}
