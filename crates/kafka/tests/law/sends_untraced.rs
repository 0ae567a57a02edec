//! A producer can't send without its context: there is no way to `rdkafka`'s own.

use rdkafka::producer::FutureRecord;
use throughline_kafka::{BaseProducer, FutureProducer, ThreadedProducer};

fn underneath(producer: FutureProducer) {
    let _ = &*producer;
}

fn inside(producer: FutureProducer) {
    let _ = &producer.producer;
}

fn by_the_client(producer: &FutureProducer, record: FutureRecord<'_, str, str>) {
    let _ = producer.client().send_result(record);
}

fn that_calls_back(base: BaseProducer, threaded: ThreadedProducer) {
    let _ = &*base;
    let _ = &*threaded;
    let _ = &base.producer;
    let _ = &threaded.producer;
}

fn main() {}
