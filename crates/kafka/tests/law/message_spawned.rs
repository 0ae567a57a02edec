//! A message ends with its trace: no task can take it along.

use throughline_kafka::Delivery;

async fn spawned(delivery: Delivery<'_>) {
    let handler = async |message: throughline_kafka::Message<'_>| {
        tokio::spawn(async move { drop(message.payload()) });
        Ok::<_, String>(())
    };
    let _ = delivery.process(handler).await;
}

fn main() {}
