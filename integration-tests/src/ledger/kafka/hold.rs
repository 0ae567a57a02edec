use std::time::Duration;

use rdkafka::consumer::CommitMode;
use tokio::task::JoinSet;

use super::consume::{Consume, Post, what};
use crate::ledger::Error;

/// How a consumer works that fails at one message and is killed then.
#[derive(clap::Args, Clone, Debug)]
pub struct Hold {
    #[command(flatten)]
    /// As any other
    pub consume: Consume,
    /// How many messages to take
    #[arg(long)]
    pub take: usize,
    /// The message to fail at
    #[arg(long)]
    pub fail: u64,
}

/// Takes some messages at once, fails at one of them, commits what may be committed, says how far
/// that is, and waits to be killed.
///
/// # Errors
///
/// When a message can't be taken, or Kafka refuses the commit.
pub async fn hold(args: Hold) -> Result<(), Error> {
    let Post { consumer, scribe, .. } = Post::start(&args.consume)?;
    // All of them before the first is handled: one that fails lets none come after it.
    let mut deliveries = Vec::new();
    while deliveries.len() < args.take
        && let Some(delivery) = consumer.recv().await?
    {
        deliveries.push(delivery.into_owned());
    }
    let mut tasks = JoinSet::new();
    for delivery in deliveries {
        let (scribe, fail) = (scribe.clone(), args.fail);
        #[expect(clippy::disallowed_methods, reason = "each record brings its own trace")]
        tasks.spawn(delivery.process(move |message| async move {
            let (place, id) = what(&message);
            match id.parse() {
                Ok(id) if id == fail => Err(Error::Wanted(id)),
                _ => scribe.handle(&id, place, 1).await,
            }
        }));
    }
    let mut failed = 0;
    while let Some(done) = tasks.join_next().await {
        failed += usize::from(!matches!(done, Ok(Ok(()))));
    }
    consumer.commit(CommitMode::Sync)?;
    let committed = consumer.committed(Duration::from_secs(10))?;
    let committed = committed.iter().find_map(|place| place.offset);
    println!("failed {failed}, committed {committed:?}");
    std::future::pending().await
}
