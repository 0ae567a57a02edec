//! A message ends with its trace: it can't be returned from `process`.

use throughline_kafka::Delivery;

async fn returned(delivery: Delivery<'_>) {
    let _message = delivery.process(async |message| Ok::<_, String>(message)).await;
}

fn main() {}
