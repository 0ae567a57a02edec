//! A record is processed once: a delivery has no copies.

use throughline_kafka::{Delivery, OwnedDelivery};

fn is_clone<T: Clone>() {}

fn main() {
    is_clone::<Delivery<'static>>();
    is_clone::<OwnedDelivery>();
}
