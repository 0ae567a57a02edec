//! A record's payload, key and headers are given up inside `process` and nowhere else.

use throughline_kafka::{Delivery, OwnedDelivery};

fn inline(delivery: &Delivery<'_>) {
    delivery.payload();
    delivery.key();
    delivery.headers();
    let _ = &delivery.held;
}

fn in_a_task(delivery: &OwnedDelivery) {
    delivery.payload();
    let _ = &delivery.message;
}

fn main() {}
