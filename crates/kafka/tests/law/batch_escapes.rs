//! The records of a batch end with its span: none can be returned from `process_batch`, kept
//! outside, or taken along by a task.

use throughline_kafka::{Batch, Message};

async fn returned(batch: Batch<'_>) {
    let _messages = batch.process_batch(async |messages| Ok::<_, String>(messages.to_vec())).await;
}

async fn kept(batch: Batch<'_>) {
    let mut kept = None;
    let handler = async |messages: &[Message<'_>]| {
        kept = messages[0].payload();
        Ok::<_, String>(())
    };
    let _ = batch.process_batch(handler).await;
    drop(kept);
}

async fn spawned(batch: Batch<'_>) {
    let handler = async |messages: &[Message<'_>]| {
        tokio::spawn(async move { drop(messages[0].payload()) });
        Ok::<_, String>(())
    };
    let _ = batch.process_batch(handler).await;
}

fn main() {}
