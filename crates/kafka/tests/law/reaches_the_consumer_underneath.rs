//! There is no way from a consumer to `rdkafka`'s own, which would commit anything.

use throughline_kafka::StreamConsumer;

fn underneath(consumer: StreamConsumer) {
    let _ = &*consumer;
}

fn inside(consumer: StreamConsumer) {
    let _ = &consumer.source;
}

fn main() {}
