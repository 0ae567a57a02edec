//! A message ends with its trace: what `process` lends can't be returned from it.

use throughline_sqs::Delivery;

async fn returned(delivery: Delivery) {
    let _message = delivery.process(async |message| Ok::<_, String>(message)).await;
}

fn main() {}
