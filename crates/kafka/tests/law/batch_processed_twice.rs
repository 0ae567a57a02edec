//! A batch is processed once: it is used up by it.

use throughline_kafka::{Batch, OwnedBatch};

async fn inline(batch: Batch<'_>) {
    let _ = batch.process_batch(async |_| Ok::<_, String>(())).await;
    let _ = batch.process_batch(async |_| Ok::<_, String>(())).await;
}

async fn in_a_task(batch: OwnedBatch) {
    let _ = batch.process_batch(async |_| Ok::<_, String>(())).await;
    let _ = batch.process_batch(async |_| Ok::<_, String>(())).await;
}

fn main() {}
