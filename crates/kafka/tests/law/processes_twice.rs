//! A record is processed once: a delivery is used up by it, and there is no second one.

use throughline_kafka::{Delivery, OwnedDelivery};

async fn inline(delivery: Delivery<'_>) {
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
}

async fn in_a_task(delivery: OwnedDelivery) {
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
    let _ = delivery.process(async |_| Ok::<_, String>(())).await;
}

fn main() {}
