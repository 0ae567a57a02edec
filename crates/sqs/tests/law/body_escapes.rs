//! What a message lends ends with its trace: it can't be kept outside of `process`.

use throughline_sqs::Delivery;

async fn kept(delivery: Delivery) {
    let mut kept = None;
    let handler = async |message: throughline_sqs::Message<'_>| {
        kept = Some(message.body());
        Ok::<_, String>(())
    };
    let _ = delivery.process(handler).await;
    drop(kept);
}

fn main() {}
