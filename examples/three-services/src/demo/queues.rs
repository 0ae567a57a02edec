//! The SQS of a run: an embedded one, unless there is one already. Its queues are made by whoever reads
//! them.

use throughline_testing::embedded;

use crate::access::Access;
use crate::error::Error;

pub(super) struct Sqs {
    access: Access,
    /// It stops when it is dropped.
    _embedded: Option<embedded::Sqs>,
}

impl Sqs {
    /// The one of the environment, else one of our own.
    pub(super) fn ready() -> Result<Self, Error> {
        if let Some(access) = Access::of_environment()? {
            return Ok(Sqs { access, _embedded: None });
        }
        let sqs = embedded::Sqs::start().map_err(Error::EmbeddedSqs)?;
        Ok(Sqs { access: Access::embedded(sqs.endpoint()), _embedded: Some(sqs) })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }
}
