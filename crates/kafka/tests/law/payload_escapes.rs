//! What a message lends ends with its trace: it can't be kept outside of `process`.

use throughline_kafka::Delivery;

async fn kept(delivery: Delivery<'_>) {
    let mut kept = None;
    let handler = async |message: throughline_kafka::Message<'_>| {
        kept = message.payload();
        Ok::<_, String>(())
    };
    let _ = delivery.process(handler).await;
    drop(kept);
}

fn main() {}
