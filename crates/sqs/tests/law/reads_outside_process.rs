//! A message's body and attributes are given up inside `process` and nowhere else.

use throughline_sqs::Delivery;

fn read(delivery: &Delivery) {
    delivery.body();
    delivery.attributes();
    delivery.attribute("tenant");
    let _ = &delivery.message;
}

fn main() {}
