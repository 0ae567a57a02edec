//! What `process` lends gives up neither its receipt nor the message underneath.

use throughline_sqs::Delivery;

async fn untraced(delivery: Delivery) {
    let handler = async |message: throughline_sqs::Message<'_>| {
        message.receipt_handle();
        message.into_untraced();
        let _ = message.0;
        Ok::<_, String>(())
    };
    let _ = delivery.process(handler).await;
}

fn main() {}
