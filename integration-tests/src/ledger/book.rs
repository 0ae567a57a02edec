use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Error;

/// A message that the broker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The number of the message, from 0.
    pub id: u64,
    /// The trace it was sent in.
    pub trace: String,
    /// The span it was sent by.
    pub span: String,
}

/// A message that a handler has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// The number of the message.
    pub id: u64,
    /// The trace it was handled in.
    pub trace: String,
    /// The parent of the span it was handled in.
    pub parent: String,
    /// The process that handled it.
    pub process: u32,
    /// How often partitions had come or gone in that process.
    pub generation: u64,
}

/// A file that lines are appended to, each in one piece.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    file: Mutex<File>,
}

impl Book {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|cause| Error::Book { path: path.into(), cause })?;
        Ok(Book { path: path.into(), file: Mutex::new(file) })
    }

    /// One write, not buffered: once it returns the line is the kernel's, whatever becomes of us.
    pub(super) fn write(&self, line: &impl fmt::Display) -> Result<(), Error> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|cause| Error::Book { path: self.path.clone(), cause })
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.trace, self.span)
    }
}

impl fmt::Display for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handled { id, trace, parent, process, generation } = self;
        write!(f, "{id} {trace} {parent} {process} {generation}")
    }
}

fn lines<T>(path: &Path, parse: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, Error> {
    let book = |cause| Error::Book { path: path.into(), cause };
    let mut parsed = Vec::new();
    for (number, line) in BufReader::new(File::open(path).map_err(book)?).lines().enumerate() {
        let text = line.map_err(book)?;
        let fields: Vec<_> = text.split(' ').collect();
        match parse(&fields) {
            Some(line) => parsed.push(line),
            None => return Err(Error::Line { path: path.into(), line: number + 1, text }),
        }
    }
    Ok(parsed)
}

/// Reads what was sent.
///
/// # Errors
///
/// When the book can't be read.
pub fn sent(path: &Path) -> Result<Vec<Sent>, Error> {
    lines(path, |fields| {
        let [id, trace, span] = fields else { return None };
        Some(Sent { id: id.parse().ok()?, trace: (*trace).into(), span: (*span).into() })
    })
}

/// Reads what was handled.
///
/// # Errors
///
/// When the book can't be read.
pub fn handled(path: &Path) -> Result<Vec<Handled>, Error> {
    lines(path, |fields| {
        let [id, trace, parent, process, generation] = fields else { return None };
        Some(Handled {
            id: id.parse().ok()?,
            trace: (*trace).into(),
            parent: (*parent).into(),
            process: process.parse().ok()?,
            generation: generation.parse().ok()?,
        })
    })
}

/// What the two books say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that the broker has.
    pub sent: usize,
    /// Handlings.
    pub handled: usize,
    /// Messages that no handler has seen.
    pub lost: usize,
    /// Messages that were handled more than once.
    pub doubled: usize,
    /// Messages that were handled twice by one process that hadn't lost their partition in
    /// between: more than at-least-once allows.
    pub doubled_wrongly: usize,
    /// Handlings in another trace than the message was sent in, or under another parent.
    pub broken: usize,
    /// Handlings of messages that nobody sent.
    pub unknown: usize,
    /// Processes that handled messages.
    pub processes: usize,
}

impl Tally {
    /// Whether nothing was lost, wrongly doubled, or torn from its trace.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let Tally { lost, doubled_wrongly, broken, unknown, .. } = *self;
        (lost, doubled_wrongly, broken, unknown) == (0, 0, 0, 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_right() { "PASS" } else { "FAIL" };
        let Tally { sent, handled, lost, doubled, doubled_wrongly, broken, unknown, processes } =
            self;
        write!(
            f,
            "{verdict}  {sent} sent, handled {handled} times by {processes} processes: {lost} lost, \
             {doubled} doubled ({doubled_wrongly} of them wrongly), {broken} broken lineages, \
             {unknown} unknown"
        )
    }
}

/// Compares what was sent with what was handled.
#[must_use]
pub fn tally(sent: &[Sent], handled: &[Handled]) -> Tally {
    let by_id: HashMap<_, _> = sent.iter().map(|sent| (sent.id, sent)).collect();
    let mut tally = Tally { sent: sent.len(), handled: handled.len(), ..Tally::default() };
    let mut times = BTreeMap::<u64, Vec<(u32, u64)>>::new();
    let mut processes = std::collections::BTreeSet::new();
    for line in handled {
        processes.insert(line.process);
        times.entry(line.id).or_default().push((line.process, line.generation));
        match by_id.get(&line.id) {
            None => tally.unknown += 1,
            Some(sent) if sent.trace != line.trace || sent.span != line.parent => tally.broken += 1,
            Some(_) => {}
        }
    }
    tally.processes = processes.len();
    tally.lost = by_id.keys().filter(|id| !times.contains_key(id)).count();
    for lives in times.values_mut() {
        if lives.len() > 1 {
            tally.doubled += 1;
            lives.sort_unstable();
            if lives.windows(2).any(|pair| pair[0] == pair[1]) {
                tally.doubled_wrongly += 1;
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: u64) -> Sent {
        Sent { id, trace: format!("t{id}"), span: format!("s{id}") }
    }

    fn handled(id: u64, process: u32, generation: u64) -> Handled {
        Handled { id, trace: format!("t{id}"), parent: format!("s{id}"), process, generation }
    }

    #[test]
    fn what_is_right_passes() {
        let all = [handled(0, 1, 1), handled(1, 1, 1), handled(1, 2, 1), handled(0, 1, 2)];
        let tally = tally(&[sent(0), sent(1)], &all);
        assert!(tally.is_right(), "{tally}");
        assert_eq!((tally.doubled, tally.processes), (2, 2));
    }

    #[test]
    fn what_is_wrong_is_found() {
        let lost = tally(&[sent(0), sent(1)], &[handled(0, 1, 1)]);
        assert_eq!((lost.lost, lost.is_right()), (1, false));
        let doubled = tally(&[sent(0)], &[handled(0, 1, 1), handled(0, 1, 1)]);
        assert_eq!((doubled.doubled_wrongly, doubled.is_right()), (1, false));
        for (trace, parent) in [("other", "s0"), ("t0", "other")] {
            let torn = Handled { trace: trace.into(), parent: parent.into(), ..handled(0, 1, 1) };
            let torn = tally(&[sent(0)], &[torn]);
            assert_eq!((torn.broken, torn.is_right()), (1, false));
        }
        let unknown = tally(&[], &[handled(0, 1, 1)]);
        assert_eq!((unknown.unknown, unknown.is_right()), (1, false));
    }
}
