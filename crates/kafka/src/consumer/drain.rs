//! The end of a consumer and of a runner, and what that does while it can't receive.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::CommitMode;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, Sleep};

use super::source::Client;
use super::{Hooks, StreamConsumer};
use crate::error::Failed;
use crate::process::Source;

/// How long what runs may take to end when a runner stops, unless told otherwise.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

/// How long a consumer may take to close, at least.
const CLOSE: Duration = Duration::from_secs(5);

/// For so long is a commit tried again that a rebalance refuses, from the first time it is, and so
/// much later each time.
const REBALANCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);

/// Commits before a consumer leaves its group. Blocks.
///
/// A member that the broker lets wait for a rebalance has everything else that it asks wait behind
/// that, and finds then that its generation has passed. librdkafka tries again with the next commit,
/// of which there is none any more: whoever comes next would get all that was handled meanwhile.
pub(super) fn commit_last<H: Hooks>(client: &Client<H>) -> KafkaResult<()> {
    let mut until = None;
    loop {
        let committed = client.commit(CommitMode::Sync);
        match &committed {
            Err(error) if is_rebalancing(error) => {
                let now = Instant::now();
                if now >= *until.get_or_insert(now + REBALANCE) {
                    return committed;
                }
                thread::sleep(AGAIN);
            }
            _ => return committed,
        }
    }
}

fn is_rebalancing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::RebalanceInProgress | Code::IllegalGeneration | Code::StaleMemberEpoch)
    )
}

/// There is no room for messages. If that lasts, somebody has to poll all the same.
pub(super) async fn rest(source: &dyn Source, mut patience: Pin<&mut Sleep>) -> Infallible {
    let polls = source.polls();
    patience.as_mut().reset(Instant::now() + source.patience());
    patience.await;
    source.rest(polls).await
}

/// Runs `work`, and commits what is acknowledged every now and then where librdkafka doesn't do it.
/// Beside the work, and not in its loop, whose patience would begin anew with each commit.
pub(super) async fn committing<F: Future>(source: &dyn Source, work: F) -> F::Output {
    if source.commits_by_itself() {
        return work.await;
    }
    let mut commits = tokio::time::interval(source.commit_interval());
    commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            output = &mut work => return output,
            _ = commits.tick() => {
                if let Err(error) = source.commit_stored() {
                    tracing::debug!(%error, "nothing was committed");
                }
            }
        }
    }
}

/// Lets what runs come to its end, within the deadline. The first that failed by that, as `failed`
/// says of each.
pub(super) async fn finish<T: 'static>(
    mut tasks: JoinSet<T>,
    source: &dyn Source,
    deadline: Duration,
    failed: impl Fn(T) -> Option<Failed>,
) -> Option<Failed> {
    let mut first = None;
    let finished = async {
        while let Some(done) = tasks.join_next().await {
            if let Some(failed) = done.ok().and_then(&failed) {
                first.get_or_insert(failed);
            }
        }
    };
    let patience = pin!(tokio::time::sleep(source.patience()));
    let is_late = tokio::select! {
        () = finished => false,
        () = tokio::time::sleep(deadline) => true,
        never = rest(source, patience) => match never {},
    };
    if is_late {
        let running = tasks.len();
        tracing::warn!(running, "handlers didn't end in time and were cancelled");
        tasks.shutdown().await;
    }
    first
}

/// Commits, and leaves the group.
pub(super) async fn close<H: Hooks, O>(consumer: StreamConsumer<H, O>, drain: Duration) {
    // Without brokers it takes as long as a session; a service that stops can't wait for that.
    match tokio::time::timeout(drain.max(CLOSE), consumer.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the last offsets were not committed: they come again");
        }
        Err(_) => tracing::warn!("the consumer has not closed in time, and goes on closing"),
    }
}
