//! A record on its way from the user to librdkafka, and back.

use rdkafka::Timestamp;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{OwnedMessage, ToBytes};
use rdkafka::producer::{BaseRecord, FutureRecord};

use super::context::InFlight;
use super::span::Outgoing;

pub(super) fn outgoing<'a, K, P>(record: &FutureRecord<'a, K, P>) -> Outgoing<'a>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let key = record.key.map(ToBytes::to_bytes);
    Outgoing { topic: record.topic, is_tombstone: record.payload.is_none(), key }
}

pub(super) type Sent<'a, K, P> = BaseRecord<'a, K, P, Box<InFlight>>;

pub(super) fn based<'a, K, P>(
    record: FutureRecord<'a, K, P>,
    in_flight: Box<InFlight>,
) -> Sent<'a, K, P>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.payload,
        key: record.key,
        timestamp: record.timestamp,
        headers: record.headers,
        delivery_opaque: in_flight,
    }
}

pub(super) fn taken_apart<'a, K, P>(record: Sent<'a, K, P>) -> (FutureRecord<'a, K, P>, InFlight)
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } = record;
    (FutureRecord { topic, partition, payload, key, timestamp, headers }, *delivery_opaque)
}

pub(super) fn detached<K, P>(record: FutureRecord<'_, K, P>) -> OwnedMessage
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    OwnedMessage::new(
        record.payload.map(|payload| payload.to_bytes().to_vec()),
        record.key.map(|key| key.to_bytes().to_vec()),
        record.topic.to_owned(),
        record.timestamp.map_or(Timestamp::NotAvailable, Timestamp::CreateTime),
        record.partition.unwrap_or(-1),
        0,
        record.headers,
    )
}

/// The answer never came, and the record went with it. We hold the producer, so this doesn't
/// happen while librdkafka keeps its word.
pub(super) fn lost() -> OwnedMessage {
    OwnedMessage::new(None, None, String::new(), Timestamp::NotAvailable, -1, 0, None)
}

pub(super) fn is_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}
