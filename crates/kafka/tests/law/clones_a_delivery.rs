//! A record is processed once: a delivery has no copies.

use throughline_kafka::{Batch, Delivery, OwnedBatch, OwnedDelivery};

fn is_clone<T: Clone>() {}

fn main() {
    is_clone::<Delivery<'static>>();
    is_clone::<OwnedDelivery>();
    is_clone::<Batch<'static>>();
    is_clone::<OwnedBatch>();
}
