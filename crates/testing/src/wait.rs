//! Waiting for spans, without sleeping.

use std::time::Duration;

use throughline_lineage::{Forest, Span};
use tokio::sync::Notify;

/// What was waited for did not come in time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("waited {waited:?} for {wanted}, and there {}", told(*.count, .traces))]
pub struct TimedOut {
    waited: Duration,
    wanted: String,
    count: usize,
    traces: String,
}

fn told(count: usize, traces: &str) -> String {
    match count {
        0 => "is no span".to_owned(),
        1 => format!("is 1 span:\n{traces}"),
        _ => format!("are {count} spans:\n{traces}"),
    }
}

impl TimedOut {
    pub(crate) fn new(waited: Duration, wanted: String, spans: Vec<Span>) -> Self {
        TimedOut { waited, wanted, count: spans.len(), traces: outlines(spans) }
    }

    /// How many spans there were when the time was up.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Every trace of these spans, as an outline.
pub(crate) fn outlines(spans: Vec<Span>) -> String {
    let forest = Forest::new(spans);
    let outlines: Vec<_> =
        forest.traces().iter().map(throughline_lineage::Trace::outline).collect();
    outlines.join("\n")
}

/// Calls `check` now and after each change, until it yields something or the time is up.
pub(crate) async fn wait<T>(
    changed: &Notify,
    deadline: Duration,
    mut check: impl FnMut() -> Option<T>,
) -> Option<T> {
    let waiting = async {
        loop {
            // Enabled before the check: a change between the two is not missed.
            let mut next = std::pin::pin!(changed.notified());
            next.as_mut().enable();
            if let Some(found) = check() {
                return found;
            }
            next.await;
        }
    };
    tokio::time::timeout(deadline, waiting).await.ok()
}
