//! A message ends with its trace: a copy of what `process` lends ends with it as well.

use throughline_sqs::Delivery;

async fn cloned(delivery: Delivery) {
    let _message = delivery.process(async |message| Ok::<_, String>(message.clone())).await;
}

fn main() {}
