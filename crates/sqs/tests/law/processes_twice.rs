//! A message is processed once: a delivery is used up by it, and there is no second one.

use throughline_sqs::Delivery;

fn is_clone<T: Clone>() {}

async fn twice(delivery: Delivery) {
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
}

fn main() {
    is_clone::<Delivery>();
}
