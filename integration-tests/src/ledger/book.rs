use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};

use super::Error;

/// Where a message lies, by which it is told from another that its sender has sent twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A record of Kafka.
    Record {
        /// Its partition.
        partition: i32,
        /// Where in it.
        offset: i64,
    },
    /// A message of SQS, by the id that SQS gave it.
    Message(Arc<str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Record { partition, offset } => write!(f, "{partition}@{offset}"),
            Place::Message(id) => f.write_str(id),
        }
    }
}

impl FromStr for Place {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('@') {
            Some((partition, offset)) => {
                Place::Record { partition: partition.parse()?, offset: offset.parse()? }
            }
            None => Place::Message(text.into()),
        })
    }
}

/// A message that a handler has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// The process that handled it.
    pub process: u32,
    /// The number of the message.
    pub id: u64,
    /// Where it lies.
    pub place: Place,
    /// The trace it was handled in.
    pub trace: TraceId,
    /// The parent of the span it was handled in.
    pub parent: SpanId,
    /// How often its partition had come to that process or left it when the handler began: odd while
    /// it is there. Of SQS 0.
    pub epoch: u64,
}

/// A line of the book. They stand in the order in which things happened, whoever wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field is what its type and its line say")]
pub enum Line {
    /// A message is about to be sent, by this process and in this trace.
    Trying { process: u32, id: u64, trace: TraceId },
    /// The broker has it, and this is the span it was sent by.
    Sent { id: u64, trace: TraceId, span: SpanId, place: Place },
    /// Its sender was told that it could not be sent, which need not be true, and sends it anew.
    Refused { id: u64, trace: TraceId, span: SpanId },
    /// A request to send it has failed, and is made again by the client itself.
    Unanswered { id: u64 },
    /// SQS has given it to this process.
    Taken { process: u32, place: Place },
    /// A handler has seen it.
    Handled(Handled),
    /// A handler is about to fail, whatever it has done so far.
    Failed { process: u32, place: Place },
    /// A partition has come to a process.
    Assigned { process: u32, partition: i32, epoch: u64 },
    /// A partition leaves a process.
    Revoked { process: u32, partition: i32, epoch: u64 },
    /// Kafka has committed a partition: the offset to go on with.
    Committed { partition: i32, offset: i64 },
    /// Kafka has refused to commit.
    Uncommitted { process: u32 },
    /// SQS has deleted a message.
    Deleted { process: u32, place: Place },
    /// SQS could not be told to delete a message, or to keep it.
    Unheld { process: u32, place: Place },
    /// A process was killed, and is gone.
    Killed { process: u32 },
    /// The broker was told to do something wrong.
    Fault { what: String },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Trying { process, id, trace } => write!(f, "trying {process} {id} {trace}"),
            Line::Sent { id, trace, span, place } => write!(f, "sent {id} {trace} {span} {place}"),
            Line::Refused { id, trace, span } => write!(f, "refused {id} {trace} {span}"),
            Line::Unanswered { id } => write!(f, "unanswered {id}"),
            Line::Taken { process, place } => write!(f, "taken {process} {place}"),
            Line::Handled(Handled { process, id, place, trace, parent, epoch }) => {
                write!(f, "handled {process} {id} {place} {trace} {parent} {epoch}")
            }
            Line::Failed { process, place } => write!(f, "failed {process} {place}"),
            Line::Assigned { process, partition, epoch } => {
                write!(f, "assigned {process} {partition} {epoch}")
            }
            Line::Revoked { process, partition, epoch } => {
                write!(f, "revoked {process} {partition} {epoch}")
            }
            Line::Committed { partition, offset } => write!(f, "committed {partition} {offset}"),
            Line::Uncommitted { process } => write!(f, "uncommitted {process}"),
            Line::Deleted { process, place } => write!(f, "deleted {process} {place}"),
            Line::Unheld { process, place } => write!(f, "unheld {process} {place}"),
            Line::Killed { process } => write!(f, "killed {process}"),
            Line::Fault { what } => write!(f, "fault {what}"),
        }
    }
}

fn parse(text: &str) -> Option<Line> {
    fn read<T: FromStr>(text: &str) -> Option<T> {
        text.parse().ok()
    }
    let trace = |text| TraceId::from_hex(text).ok();
    let span = |text| SpanId::from_hex(text).ok();
    if let Some(what) = text.strip_prefix("fault ") {
        return Some(Line::Fault { what: what.to_owned() });
    }
    let fields: Vec<_> = text.split(' ').collect();
    Some(match fields[..] {
        ["trying", process, id, its] => {
            Line::Trying { process: read(process)?, id: read(id)?, trace: trace(its)? }
        }
        ["sent", id, its, by, place] => {
            Line::Sent { id: read(id)?, trace: trace(its)?, span: span(by)?, place: read(place)? }
        }
        ["refused", id, its, by] => {
            Line::Refused { id: read(id)?, trace: trace(its)?, span: span(by)? }
        }
        ["unanswered", id] => Line::Unanswered { id: read(id)? },
        ["taken", process, place] => Line::Taken { process: read(process)?, place: read(place)? },
        ["handled", process, id, place, its, parent, epoch] => Line::Handled(Handled {
            process: read(process)?,
            id: read(id)?,
            place: read(place)?,
            trace: trace(its)?,
            parent: span(parent)?,
            epoch: read(epoch)?,
        }),
        ["failed", process, place] => Line::Failed { process: read(process)?, place: read(place)? },
        ["assigned", process, partition, epoch] => Line::Assigned {
            process: read(process)?,
            partition: read(partition)?,
            epoch: read(epoch)?,
        },
        ["revoked", process, partition, epoch] => Line::Revoked {
            process: read(process)?,
            partition: read(partition)?,
            epoch: read(epoch)?,
        },
        ["committed", partition, offset] => {
            Line::Committed { partition: read(partition)?, offset: read(offset)? }
        }
        ["uncommitted", process] => Line::Uncommitted { process: read(process)? },
        ["deleted", process, place] => {
            Line::Deleted { process: read(process)?, place: read(place)? }
        }
        ["unheld", process, place] => Line::Unheld { process: read(process)?, place: read(place)? },
        ["killed", process] => Line::Killed { process: read(process)? },
        _ => return None,
    })
}

/// What a line ends with that is whole. A write is in one piece to whoever writes, and not to who
/// reads meanwhile: across the end of a page the kernel shows its first half. Nor does one end that a
/// SIGKILL has met there, and the next one to write begins a line of his own.
const END: &str = " .";

/// A file that lines are appended to, each in one piece, by any number of processes.
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
    pub(super) fn write(&self, line: &Line) -> Result<(), Error> {
        self.write_all(std::slice::from_ref(line))
    }

    /// The same, of several lines.
    pub(super) fn write_all(&self, lines: &[Line]) -> Result<(), Error> {
        let text: String = lines.iter().map(|line| format!("\n{line}{END}\n")).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(text.as_bytes());
        written.map_err(|cause| Error::Book { path: self.path.clone(), cause })
    }

    /// The same, where there is nobody to hear of an error: without the line, the tally is wrong.
    pub(super) fn note(&self, line: &Line) {
        if let Err(error) = self.write(line) {
            eprintln!("{error}");
        }
    }
}

/// Reads a book while others write.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end isn't there yet.
    rest: Vec<u8>,
    number: usize,
}

impl Reader {
    /// Of a book that need not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Reader { path: path.into(), file: None, rest: Vec::new(), number: 0 }
    }

    /// Hands out the lines that have come since the last time.
    ///
    /// # Errors
    ///
    /// When the book can't be read, or what stands there is no line of it.
    pub fn read(&mut self, mut take: impl FnMut(Line)) -> Result<(), Error> {
        let book = |cause| Error::Book { path: self.path.clone(), cause };
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(book(error)),
            };
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut self.rest).map_err(book)?;
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let next = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, next);
        for text in whole[..end].split(|byte| *byte == b'\n') {
            self.number += 1;
            let text = String::from_utf8_lossy(text);
            let Some(text) = text.strip_suffix(END) else { continue };
            match parse(text) {
                Some(line) => take(line),
                None => {
                    let (path, text) = (self.path.clone(), text.to_owned());
                    return Err(Error::Line { path, line: self.number, text });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let (trace, span) = (TraceId::from(7), SpanId::from(8));
        let record = Place::Record { partition: 3, offset: 8 };
        let message = || Place::Message("0f9a-1".into());
        let (process, id) = (4, 5);
        let handled = Handled { process, id, place: record.clone(), trace, parent: span, epoch: 1 };
        let lines = [
            Line::Trying { process, id, trace },
            Line::Sent { id, trace, span, place: message() },
            Line::Refused { id, trace, span },
            Line::Unanswered { id },
            Line::Taken { process, place: message() },
            Line::Handled(handled),
            Line::Failed { process, place: record },
            Line::Assigned { process, partition: 3, epoch: 1 },
            Line::Revoked { process, partition: 3, epoch: 1 },
            Line::Committed { partition: 3, offset: 9 },
            Line::Uncommitted { process },
            Line::Deleted { process, place: message() },
            Line::Unheld { process, place: message() },
            Line::Killed { process },
            Line::Fault { what: "the broker goes down".to_owned() },
        ];
        let path = std::env::temp_dir().join(format!("ledger-book-{}", std::process::id()));
        let mut reader = Reader::new(&path);
        reader.read(|line| panic!("no book, and {line}")).expect("nothing yet");
        let book = Book::open(&path).expect("a book");
        lines.iter().for_each(|line| book.write(line).expect("a line"));
        // And of one that is on its way there is nothing yet.
        let mut file = OpenOptions::new().append(true).open(&path).expect("a book");
        file.write_all(b"\nkilled 24").expect("half a line");
        let mut read = Vec::new();
        reader.read(|line| read.push(line)).expect("lines");
        assert_eq!(read, lines);
        file.write_all(b"87 .\n").expect("the other half");
        reader.read(|line| read.push(line)).expect("a line");
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(read.last(), Some(&Line::Killed { process: 2487 }));
    }
}
