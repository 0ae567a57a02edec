//! Traces and verdicts as text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use throughline_core::root::{Kind, Verdict};
use throughline_core::semconv;

use crate::forest::{Node, Top, Trace};
use crate::span::{Link, Status};
use crate::text::{count, duration, escape, milliseconds, offset, shorten};
use crate::verdict::{self, Break, Summary};

/// Levels of a tree that are indented; what is deeper stands in line, with its depth.
const LEVELS: usize = 14;
/// The widest a column may grow, so that a line keeps to 100 or 120 characters.
const NAMES: usize = 46;
const SERVICES: usize = 16;
const MESSAGES: usize = 48;

/// The trace as a tree with services, kinds, times and what went wrong, one line a span.
///
/// Times are the start, counted from that of the root, and the duration. `slowest` marks the
/// longest self time, `deepest failure` the failed span nearest to the cause, and `waited` how old
/// a message was when its processing began. Control characters
/// in names are escaped.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start_time_unix_nano();
        let took = self.end_time_unix_nano().saturating_sub(start);
        writeln!(
            f,
            "trace {}  {}, {}, {}",
            self.id(),
            count(self.services().len(), "service"),
            count(self.nodes().len(), "span"),
            duration(std::time::Duration::from_nanos(took)),
        )?;
        // Of one span there is nothing to compare.
        let slowest = self.slowest().filter(|_| self.nodes().len() > 1);
        let slowest = slowest.map(|node| node.span().span_id);
        let failure = self.deepest_failure().map(|node| node.span().span_id);
        let rows: Vec<_> = branches(self)
            .map(|(branch, node)| {
                let span = node.span();
                let name = shorten(&format!("{branch}{}", escape(&span.name)), NAMES);
                let service = shorten(&escape(span.service().unwrap_or("-")), SERVICES);
                let began = offset(start, span.start_time_unix_nano);
                let mut notes = notes(self, node);
                if slowest == Some(span.span_id) {
                    notes.push(format!("◀ slowest: {} itself", duration(node.self_time())));
                }
                if failure == Some(span.span_id) {
                    notes.push("◀ deepest failure".to_owned());
                }
                (name, service, span.kind, began, duration(span.duration()), notes.join("  "))
            })
            .collect();
        let width = |text: fn(&Row) -> &str| {
            rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0)
        };
        let (names, services) = (width(|row| &row.0), width(|row| &row.1));
        let (starts, durations) = (width(|row| &row.3), width(|row| &row.4));
        for (name, service, kind, began, took, notes) in &rows {
            let line = format!(
                "{name:names$}  {service:services$}  {kind:8}  {began:>starts$}  {took:>durations$}  {notes}"
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

type Row = (String, String, Kind, String, String, String);

/// What is to be said of a span beside its figures.
fn notes(trace: &Trace, node: Node<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    match node.top() {
        Some(Top::ParentMissing(parent)) => notes.push(format!("parent {parent} missing")),
        Some(Top::Cycle) => notes.push("its own ancestor".to_owned()),
        Some(Top::Root) if node.span().facts().judge() == Verdict::Orphan => {
            notes.push("orphan: it has no parent".to_owned());
        }
        None if node.span().facts().lacks_sender() => {
            notes.push("orphan: a sender's context is missing".to_owned());
        }
        Some(Top::Root) | None => {}
    }
    // Nought says nothing: the clocks of two hosts may be that much apart.
    if let Some(waited) = node.span().attributes.get_int(semconv::THROUGHLINE_MESSAGE_AGE)
        && let Ok(waited @ 1..) = u64::try_from(waited)
    {
        notes.push(format!("waited {}", milliseconds(waited)));
    }
    match &node.span().status {
        Status::Error(message) if message.is_empty() => notes.push("ERROR".to_owned()),
        Status::Error(message) => {
            notes.push(format!("ERROR {}", shorten(&escape(message), MESSAGES)));
        }
        Status::Ok | Status::Unset => {}
    }
    match node.span().links.as_slice() {
        [] => {}
        [link] => notes.push(format!(
            "~ {}",
            linked(trace, link)
                .unwrap_or_else(|| format!("span {} of trace {:.8}", link.span_id, link.trace_id))
        )),
        links => notes.push(format!("~ {}", count(links.len(), "link"))),
    }
    notes
}

/// The name of a linked span, if the trace holds it.
fn linked(trace: &Trace, link: &Link) -> Option<String> {
    (link.trace_id == trace.id())
        .then(|| trace.node(link.span_id))?
        .map(|node| shorten(&escape(&node.span().name), NAMES))
}

/// Every span with the lines that lead to it.
fn branches(trace: &Trace) -> impl Iterator<Item = (String, Node<'_>)> {
    // One entry a level: whether the branch at this level goes on below.
    let mut open: Vec<bool> = Vec::new();
    trace.nodes().map(move |node| {
        let depth = node.depth().min(LEVELS);
        open.truncate(depth.saturating_sub(1));
        let last = node
            .parent()
            .and_then(|parent| parent.children().next_back())
            .is_none_or(|last| last.span().span_id == node.span().span_id);
        let mut branch = String::new();
        for goes_on in &open {
            branch.push_str(if *goes_on { "│ " } else { "  " });
        }
        if node.depth() > 0 {
            branch.push_str(if last { "└ " } else { "├ " });
            open.push(!last);
        }
        if node.depth() > LEVELS {
            branch.push_str(&format!("({} deep) ", node.depth()));
        }
        (branch, node)
    })
}

impl Trace {
    /// The shape of the trace and nothing that differs from run to run, for assertions.
    ///
    /// A line a span, indented by two spaces a level: the name, the kind, the service in
    /// brackets if it has one, `ERROR` with the message, and where its links lead.
    ///
    /// ```text
    /// POST /orders server [gateway]
    ///   POST client [gateway] ERROR 503
    ///   audit internal [gateway] ~ POST
    /// ```
    #[must_use]
    pub fn outline(&self) -> String {
        let mut out = String::new();
        for node in self.nodes() {
            let span = node.span();
            out.push_str(&"  ".repeat(node.depth().min(LEVELS)));
            out.push_str(&format!("{} {}", escape(&span.name), span.kind));
            if let Some(service) = span.service() {
                out.push_str(&format!(" [{}]", escape(service)));
            }
            if let Some(Top::ParentMissing(_)) = node.top() {
                out.push_str(" (parent missing)");
            }
            match &span.status {
                Status::Error(message) => {
                    out.push_str(format!(" ERROR {}", escape(message)).trim_end());
                }
                Status::Ok => out.push_str(" OK"),
                Status::Unset => {}
            }
            for link in &span.links {
                let target = linked(self, link).unwrap_or_else(|| "another trace".to_owned());
                out.push_str(&format!(" ~ {target}"));
            }
            out.push('\n');
        }
        out
    }
}

/// One line: traces, spans, services, orphans, and the boundaries crossed whole.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            count(self.traces, "trace"),
            count(self.spans, "span"),
            count(self.services.len(), "service"),
            count(self.orphans, "orphan"),
        ];
        f.write_str(&parts.join(", "))?;
        let more = [
            (self.pending, "pending"),
            (self.external_allowed, "external"),
            (self.duplicates, "received twice"),
        ];
        for (number, what) in more.into_iter().filter(|(number, _)| *number > 0) {
            write!(f, ", {number} {what}")?;
        }
        for (index, (class, number)) in self.boundaries.iter().enumerate() {
            let lead = if index == 0 { "; crossed: " } else { ", " };
            write!(f, "{lead}{class} {number}")?;
        }
        Ok(())
    }
}

/// The summary, and below it the breaks: those alike are told once, with their number.
impl fmt::Display for verdict::Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        let mut groups: Vec<(&Break, usize)> = Vec::new();
        let mut known: HashMap<_, usize> = HashMap::new();
        for found in self.breaks.iter().chain(&self.pending) {
            match known.entry((found.class, found.answer, &found.service, &found.span)) {
                Entry::Occupied(group) => groups[*group.get()].1 += 1,
                Entry::Vacant(group) => {
                    group.insert(groups.len());
                    groups.push((found, 1));
                }
            }
        }
        for (first, number) in groups {
            write!(
                f,
                "{} {}: `{}` in {}",
                first.answer.as_str(),
                first.class,
                escape(&first.span),
                escape(&first.service)
            )?;
            if number > 1 {
                write!(f, ", {number} times, first")?;
            }
            writeln!(f, " in trace {}, span {}", first.trace_id, first.span_id)?;
            writeln!(f, "  {}", escape(&first.reason))?;
            if let Some(replacement) = first.replacement {
                writeln!(f, "  use {replacement}")?;
            }
        }
        Ok(())
    }
}
