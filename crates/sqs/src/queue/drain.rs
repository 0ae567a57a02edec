//! The end of a runner.

use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Queue;
use super::lanes::Lane;
use super::opened::MORE;
use super::poll::Received;
use crate::process::Handled;

/// How long cancelled handlers may take.
const ABORT: Duration = Duration::from_secs(1);

/// Waits for what runs, as long as told; and for what is received, however short that is: to leave it
/// would hide its messages.
pub(super) async fn drained(
    queue: &Queue,
    mut tasks: JoinSet<(Lane, Handled)>,
    mut polls: impl Stream<Item = (usize, Received)> + Unpin,
    drain: Duration,
) {
    let run = async {
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(drain, all).await.is_err() {
            cut_short(queue, tasks).await;
        }
    };
    let received = async {
        while let Some((_, received)) = polls.next().await {
            // It is given back.
            drop(received);
        }
        queue.leave_nothing().await;
    };
    join(run, in_time(queue, received)).await;
}

/// Waits for polls, no longer than they may take.
pub(super) async fn in_time(queue: &Queue, polls: impl Future<Output = ()>) {
    if timeout(queue.wait_time.saturating_add(MORE), polls).await.is_err() {
        let queue = queue.shown();
        tracing::warn!(
            queue,
            "a receive didn't end in time: what it brings comes after its visibility timeout, or \
             earlier if this process lives"
        );
    }
}

/// Cancels what runs, and gives it back.
async fn cut_short(queue: &Queue, mut tasks: JoinSet<(Lane, Handled)>) {
    let (running, url) = (tasks.len(), queue.shown());
    if running == 0 {
        return;
    }
    tracing::warn!(queue = url, running, "handlers didn't end in time and are cancelled");
    if let Some(keeper) = queue.keeper() {
        keeper.drain();
    }
    tasks.abort_all();
    let gone = async { while tasks.join_next().await.is_some() {} };
    if timeout(ABORT, gone).await.is_err() {
        // They block their threads. Their messages stay invisible while this process lives.
        let running = tasks.len();
        tracing::warn!(queue = url, running, "handlers can't be cancelled, and are left running");
        tasks.detach_all();
    }
}
