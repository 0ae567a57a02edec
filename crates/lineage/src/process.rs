//! Which process a span comes from, as its resource tells.

use std::collections::{BTreeSet, HashMap};

use throughline_core::semconv;

use crate::forest::{Forest, Node};
use crate::id::SpanId;
use crate::span::{Resource, Span};

/// A pid, on the host or in the container where it means something.
type Pid<'a> = (Option<&'a str>, i64);

/// Who made a span: two spans with the same origin need no boundary between them.
#[derive(PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    service: Option<&'a str>,
    instance: Option<&'a str>,
    pid: Option<Pid<'a>>,
}

impl<'a> Origin<'a> {
    pub(crate) fn of(span: &'a Span) -> Self {
        Self {
            service: span.service(),
            instance: span.resource.attributes.get_str(semconv::SERVICE_INSTANCE_ID),
            pid: pid(&span.resource, semconv::PROCESS_PID),
        }
    }
}

fn pid<'a>(resource: &'a Resource, name: &str) -> Option<Pid<'a>> {
    let attributes = &resource.attributes;
    let place = [semconv::CONTAINER_ID, semconv::HOST_NAME];
    let place = place.into_iter().find_map(|name| attributes.get_str(name));
    attributes.get_int(name).map(|pid| (place, pid))
}

/// Every process that sent spans.
pub(crate) struct Processes<'a>(HashMap<Pid<'a>, Process<'a>>);

struct Process<'a> {
    services: BTreeSet<&'a str>,
    first: (u64, SpanId),
}

impl<'a> Processes<'a> {
    pub(crate) fn of(forest: &'a Forest) -> Self {
        let mut processes: HashMap<_, Process<'_>> = HashMap::new();
        for span in forest.nodes().map(Node::span) {
            let Some(pid) = pid(&span.resource, semconv::PROCESS_PID) else { continue };
            let when = (span.start_time_unix_nano, span.span_id);
            let process = processes
                .entry(pid)
                .or_insert_with(|| Process { services: BTreeSet::new(), first: when });
            process.services.extend(span.service());
            process.first = process.first.min(when);
        }
        Self(processes)
    }

    /// The service that started the process of this span without handing it a context, if the
    /// span is the first one of its process and another service's process is the parent.
    ///
    /// Had the process made spans before, it would be a service that runs by itself, and what
    /// its parent did long ago would not be why this span has none.
    pub(crate) fn started_by(&self, span: &'a Span) -> Option<&'a str> {
        let process = self.0.get(&pid(&span.resource, semconv::PROCESS_PID)?)?;
        if process.first != (span.start_time_unix_nano, span.span_id) {
            return None;
        }
        let parent = self.0.get(&pid(&span.resource, semconv::PROCESS_PARENT_PID)?)?;
        parent.services.iter().copied().find(|service| Some(*service) != span.service())
    }
}
