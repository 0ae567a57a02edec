//! Messages that were handled and could not be deleted, until somebody is told.

use std::sync::Arc;

use crate::error::{Error, NotDeleted};

/// How many are kept. Nobody may ever ask.
const KEPT: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Undeleted {
    count: usize,
    first: Vec<NotDeleted>,
}

impl Undeleted {
    pub(super) fn add(&mut self, message_id: String, reason: String) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(NotDeleted { message_id, reason });
        }
    }

    pub(super) fn into_result(self, queue: &Arc<str>) -> Result<(), Error> {
        let Undeleted { count, first: messages } = self;
        match count {
            0 => Ok(()),
            _ => Err(Error::NotDeleted { queue: Arc::clone(queue), count, messages }),
        }
    }
}
