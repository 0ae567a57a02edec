use rdkafka::types::RDKafkaApiKey;

/// What clients ask of a [`Kafka`](super::Kafka), and it can be told to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KafkaRequest {
    /// To take records.
    Produce,
    /// To give some.
    Fetch,
    /// Where a partition begins and ends.
    ListOffsets,
    /// Who looks after a group.
    FindCoordinator,
    /// A number by which a producer's records are told from their doubles.
    InitProducerId,
    /// To become a member of a group, of the classic protocol as all that follow.
    JoinGroup,
    /// Which partitions a member reads.
    SyncGroup,
    /// To stay a member.
    Heartbeat,
    /// To be none any more.
    LeaveGroup,
    /// Up to where a group has committed.
    OffsetFetch,
    /// To commit.
    OffsetCommit,
}

impl KafkaRequest {
    pub(super) fn native(self) -> RDKafkaApiKey {
        match self {
            KafkaRequest::Produce => RDKafkaApiKey::Produce,
            KafkaRequest::Fetch => RDKafkaApiKey::Fetch,
            KafkaRequest::ListOffsets => RDKafkaApiKey::ListOffsets,
            KafkaRequest::FindCoordinator => RDKafkaApiKey::FindCoordinator,
            KafkaRequest::InitProducerId => RDKafkaApiKey::InitProducerId,
            KafkaRequest::JoinGroup => RDKafkaApiKey::JoinGroup,
            KafkaRequest::SyncGroup => RDKafkaApiKey::SyncGroup,
            KafkaRequest::Heartbeat => RDKafkaApiKey::Heartbeat,
            KafkaRequest::LeaveGroup => RDKafkaApiKey::LeaveGroup,
            KafkaRequest::OffsetFetch => RDKafkaApiKey::OffsetFetch,
            KafkaRequest::OffsetCommit => RDKafkaApiKey::OffsetCommit,
        }
    }
}
