//! What the embedded brokers do wrong, one after the other.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode::{self as Code, *};
use throughline_testing::embedded::KafkaRequest;
use throughline_testing::embedded::sqs::{Fault, Operation};

/// Which request the embedded Kafka refuses, and how; `None` when it goes down.
pub(super) fn of_kafka(number: usize) -> Option<(KafkaRequest, &'static [Code])> {
    const FAULTS: [Option<(KafkaRequest, &[Code])>; 14] = [
        // What passes by itself.
        Some((
            KafkaRequest::Produce,
            &[NotLeaderForPartition, NotEnoughReplicas, KafkaStorageError],
        )),
        Some((
            KafkaRequest::Fetch,
            &[NotLeaderForPartition, UnknownLeaderEpoch, KafkaStorageError],
        )),
        Some((KafkaRequest::OffsetCommit, &[CoordinatorLoadInProgress, RequestTimedOut])),
        // For good: its sender sends it anew.
        Some((KafkaRequest::Produce, &[PolicyViolation])),
        // A member that isn't let in at once.
        Some((KafkaRequest::JoinGroup, &[CoordinatorNotAvailable, CoordinatorLoadInProgress])),
        None,
        // Cut off half-way.
        Some((KafkaRequest::Produce, &[BrokerTransportFailure, BrokerTransportFailure])),
        Some((KafkaRequest::Fetch, &[BrokerTransportFailure, BrokerTransportFailure])),
        Some((KafkaRequest::OffsetCommit, &[BrokerTransportFailure, UnknownMemberId])),
        // Members that have to join again, and one that the group has forgotten.
        Some((KafkaRequest::Heartbeat, &[RebalanceInProgress])),
        Some((KafkaRequest::Heartbeat, &[UnknownMemberId])),
        Some((KafkaRequest::OffsetFetch, &[CoordinatorLoadInProgress, NotCoordinator])),
        None,
        Some((KafkaRequest::Heartbeat, &[IllegalGeneration, NotCoordinator])),
    ];
    FAULTS[number % FAULTS.len()]
}

/// What goes wrong with how many of which requests to the embedded SQS. Each of them in each way, in
/// thirty-five steps; three is all that the SDK tries.
pub(super) fn of_sqs(number: usize) -> (Operation, usize, Fault) {
    const OPERATIONS: [Operation; 5] = [
        Operation::SendMessageBatch,
        Operation::ReceiveMessage,
        Operation::DeleteMessageBatch,
        Operation::ChangeMessageVisibilityBatch,
        Operation::SendMessage,
    ];
    let fault = match number % 7 {
        0 => Fault::ErrorBefore,
        1 => Fault::ErrorAfter,
        2 => Fault::Throttled,
        3 => Fault::CloseBefore,
        4 => Fault::CloseAfter,
        5 => Fault::Delayed(Duration::from_millis(300)),
        _ => Fault::FailEntry(number % 3),
    };
    (OPERATIONS[number % OPERATIONS.len()], [1, 4, 2][number % 3], fault)
}
