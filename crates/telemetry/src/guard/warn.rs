//! The lines about lost roots, written by a thread of their own.
//!
//! Never where the root was started: a sampler is asked, and a span is started, while others hold
//! locks that a layer of the log may want. `tracing-opentelemetry` does so for each of its spans.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use throughline_core::root::Class;
use tracing::Dispatch;
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// Explains what happened, and what to do.
const PAGE: &str = "https://github.com/throughline-rs/throughline/blob/main/docs/lost-context.md";

/// How many lines wait at the most. Each name is told once a minute, so there are never many.
const WAITING: usize = 256;

/// What is told of a root.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) times: u64,
    /// Who made it, and where, as far as is known.
    pub(super) described: Option<String>,
}

enum Message {
    Line(Line, Dispatch),
    Flush(SyncSender<()>),
}

static SENDER: OnceLock<Option<SyncSender<Message>>> = OnceLock::new();

/// Hands a line to the thread; drops it where too many wait already.
pub(super) fn warn(line: Line) {
    // The subscriber of this thread, where it has one of its own.
    let dispatch = dispatcher::get_default(Dispatch::clone);
    if let Some(sender) = SENDER.get_or_init(start) {
        // Of too many the first are as good as the last.
        let _full = sender.try_send(Message::Line(line, dispatch));
    }
}

/// Waits until what was handed over is written, or for `timeout`.
pub(crate) fn flush(timeout: Duration) {
    let Some(Some(sender)) = SENDER.get() else { return };
    let (done, written) = sync_channel(1);
    if sender.try_send(Message::Flush(done)).is_ok() {
        let _late = written.recv_timeout(timeout);
    }
}

fn start() -> Option<SyncSender<Message>> {
    let (sender, receiver) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("throughline-guard".to_owned());
    #[expect(clippy::disallowed_methods, reason = "it belongs to no trace")]
    thread.spawn(move || write(&receiver)).ok()?;
    Some(sender)
}

fn write(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Line(line, dispatch) if dispatch.is::<NoSubscriber>() => {
                // Where nobody reads, no line: tracing would remember for others, whose
                // subscriber is their thread's own, that nobody reads lines like this one.
                if !dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
                    tell(&line);
                }
            }
            Message::Line(line, dispatch) => dispatcher::with_default(&dispatch, || tell(&line)),
            // Nobody may wait any longer.
            Message::Flush(done) => done.send(()).unwrap_or_default(),
        }
    }
}

fn tell(line: &Line) {
    let Line { name, class, times, described } = line;
    let described = described.as_ref().map(|by| format!(", {by}")).unwrap_or_default();
    tracing::warn!(
        target: "throughline",
        root = name,
        class = %class,
        times,
        "a trace is in pieces: the span {name:?} has lost its parent{described}; see {PAGE}"
    );
}
