//! A message is deleted when its handler has succeeded, and in no other way.

use throughline_sqs::{Delivery, Message, Queue};

fn delete(queue: &Queue, delivery: Delivery, message: Message<'_>) {
    queue.delete(delivery.message_id());
    delivery.delete();
    delivery.receipt_handle();
    message.receipt_handle();
    let _ = queue.client;
}

fn main() {}
