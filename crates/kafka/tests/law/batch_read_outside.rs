//! The records of a batch are given up inside `process_batch` and nowhere else.

use throughline_kafka::{Batch, OwnedBatch};

fn inline(batch: &Batch<'_>) {
    batch.deliveries()[0].payload();
    batch.messages();
}

fn in_a_task(batch: &OwnedBatch) {
    batch.messages();
    let _ = &batch.messages;
}

/// One of them alone can't be taken out, to be acknowledged before the others.
fn alone(batch: Batch<'_>) {
    let _ = batch.deliveries;
}

fn main() {}
