//! A record is acknowledged when it was processed, and in no other way.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::CommitMode;
use throughline_kafka::StreamConsumer;

fn acknowledge(consumer: &StreamConsumer, list: &TopicPartitionList) {
    let _ = consumer.store_offset("orders", 0, 41);
    let _ = consumer.store_offsets(list);
    let _ = consumer.commit(list, CommitMode::Sync);
}

fn of_a_message(consumer: &StreamConsumer, message: throughline_kafka::Message<'_>) {
    let _ = consumer.commit_message(message, CommitMode::Sync);
}

fn main() {}
