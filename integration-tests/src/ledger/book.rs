use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
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
    /// Where the message lies.
    pub partition: i32,
    /// Where in its partition.
    pub offset: i64,
}

/// A line of the consumers' book, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A message was handled.
    Handled(Handled),
    /// The broker has committed a partition up to an offset.
    Committed {
        /// The partition.
        partition: i32,
        /// The offset to go on with.
        offset: i64,
    },
}

/// What a line ends with that is whole. A write is in one piece to whoever writes, and not to who
/// reads meanwhile: across the end of a page the kernel shows its first half. Nor does one end that a
/// SIGKILL has met there, and the next one to write begins a line of his own.
const END: &str = " .";

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
        let written = file.write_all(format!("\n{line}{END}\n").as_bytes());
        written.map_err(|cause| Error::Book { path: self.path.clone(), cause })
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.trace, self.span)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Handled(handled) => handled.fmt(f),
            Line::Committed { partition, offset } => write!(f, "committed {partition} {offset}"),
        }
    }
}

impl fmt::Display for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handled { id, trace, parent, process, generation, partition, offset } = self;
        write!(f, "handled {id} {trace} {parent} {process} {generation} {partition} {offset}")
    }
}

fn lines<T>(path: &Path, parse: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, Error> {
    let book = |cause| Error::Book { path: path.into(), cause };
    let text = std::fs::read_to_string(path).map_err(book)?;
    let mut parsed = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let Some(text) = text.strip_suffix(END) else { continue };
        let fields: Vec<_> = text.split(' ').collect();
        match parse(&fields) {
            Some(line) => parsed.push(line),
            None => {
                let (path, text) = (path.into(), text.to_owned());
                return Err(Error::Line { path, line: number + 1, text });
            }
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

/// Reads what was handled and committed.
///
/// # Errors
///
/// When the book can't be read.
pub fn consumed(path: &Path) -> Result<Vec<Line>, Error> {
    lines(path, |fields| match fields {
        ["handled", id, trace, parent, process, generation, partition, offset] => {
            Some(Line::Handled(Handled {
                id: id.parse().ok()?,
                trace: (*trace).into(),
                parent: (*parent).into(),
                process: process.parse().ok()?,
                generation: generation.parse().ok()?,
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            }))
        }
        ["committed", partition, offset] => Some(Line::Committed {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        }),
        _ => None,
    })
}

/// The handlings among these lines.
#[must_use]
pub fn handled(lines: &[Line]) -> Vec<Handled> {
    let handled = lines.iter().filter_map(|line| match line {
        Line::Handled(handled) => Some(handled.clone()),
        Line::Committed { .. } => None,
    });
    handled.collect()
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
    /// Handlings of messages that were acknowledged already.
    pub after_commit: usize,
    /// How often a partition was committed.
    pub commits: usize,
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
        let Tally { lost, doubled_wrongly, after_commit, broken, unknown, .. } = *self;
        (lost, doubled_wrongly, after_commit, broken, unknown) == (0, 0, 0, 0, 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_right() { "PASS" } else { "FAIL" };
        let Tally { sent, handled, lost, doubled, broken, unknown, processes, commits, .. } = self;
        let wrongly = self.doubled_wrongly + self.after_commit;
        write!(
            f,
            "{verdict}  {sent} sent, handled {handled} times by {processes} processes, {commits} \
             commits: {lost} lost, {doubled} doubled ({wrongly} of them wrongly), {broken} broken \
             lineages, {unknown} unknown"
        )
    }
}

/// Compares what was sent with what was handled.
#[must_use]
pub fn tally(sent: &[Sent], consumed: &[Line]) -> Tally {
    let handled = &handled(consumed);
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
    let mut committed = HashMap::new();
    for line in consumed {
        match line {
            Line::Committed { partition, offset } => {
                tally.commits += 1;
                let highest = committed.entry(*partition).or_insert(*offset);
                *highest = (*highest).max(*offset);
            }
            Line::Handled(handled) => {
                let acknowledged = committed.get(&handled.partition);
                tally.after_commit +=
                    usize::from(acknowledged.is_some_and(|up_to| handled.offset < *up_to));
            }
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

    fn one(id: u64, process: u32, generation: u64) -> Handled {
        let (trace, parent, offset) = (format!("t{id}"), format!("s{id}"), id.cast_signed());
        Handled { id, trace, parent, process, generation, partition: 0, offset }
    }

    fn all<const N: usize>(handled: [Handled; N]) -> Vec<Line> {
        handled.into_iter().map(Line::Handled).collect()
    }

    #[test]
    fn what_is_right_passes() {
        let mut lines = all([one(0, 1, 1), one(1, 1, 1), one(1, 2, 1), one(0, 1, 2)]);
        lines.push(Line::Committed { partition: 0, offset: 2 });
        let tally = tally(&[sent(0), sent(1)], &lines);
        assert!(tally.is_right(), "{tally}");
        assert_eq!((tally.doubled, tally.processes, tally.commits), (2, 2, 1));
    }

    #[test]
    fn what_is_wrong_is_found() {
        let lost = tally(&[sent(0), sent(1)], &all([one(0, 1, 1)]));
        assert_eq!((lost.lost, lost.is_right()), (1, false));
        let doubled = tally(&[sent(0)], &all([one(0, 1, 1), one(0, 1, 1)]));
        assert_eq!((doubled.doubled_wrongly, doubled.is_right()), (1, false));
        for (trace, parent) in [("other", "s0"), ("t0", "other")] {
            let torn = Handled { trace: trace.into(), parent: parent.into(), ..one(0, 1, 1) };
            let torn = tally(&[sent(0)], &all([torn]));
            assert_eq!((torn.broken, torn.is_right()), (1, false));
        }
        let unknown = tally(&[], &all([one(0, 1, 1)]));
        assert_eq!((unknown.unknown, unknown.is_right()), (1, false));
        let mut again = all([one(0, 1, 1)]);
        again.push(Line::Committed { partition: 0, offset: 1 });
        again.extend(all([one(0, 2, 1)]));
        let again = tally(&[sent(0)], &again);
        assert_eq!((again.after_commit, again.is_right()), (1, false));
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let lines = [Line::Handled(one(7, 1, 2)), Line::Committed { partition: 3, offset: 8 }];
        let path = std::env::temp_dir().join(format!("ledger-book-{}", std::process::id()));
        let book = Book::open(&path).expect("a book");
        lines.iter().for_each(|line| book.write(line).expect("a line"));
        // And of one that is on its way there is nothing yet.
        let mut file = OpenOptions::new().append(true).open(&path).expect("a book");
        file.write_all(b"handled 2487 f373fdcb").expect("half a line");
        let read = consumed(&path);
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(read.expect("lines"), lines);
    }
}
