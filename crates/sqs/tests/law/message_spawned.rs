//! A message ends with its trace: no task can take it along.

use throughline_sqs::Delivery;

async fn spawned(delivery: Delivery) {
    let handler = async |message: throughline_sqs::Message<'_>| {
        tokio::spawn(async move { drop(message.body()) });
        Ok::<_, String>(())
    };
    let _ = delivery.process(handler).await;
}

fn main() {}
