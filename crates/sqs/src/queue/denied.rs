//! A right that is missing, as it shows when messages are settled or kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;

/// The first that was found missing since somebody was told. Without it every message would be
/// handled again and again, and only the log would know.
#[derive(Debug, Default)]
pub(super) struct Denied {
    first: Mutex<Option<(&'static str, String)>>,
    changed: Notify,
}

impl Denied {
    pub(super) fn set(&self, right: &'static str, said: String) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert((right, said));
        self.changed.notify_one();
    }

    /// Tells it, once.
    pub(super) fn take(&self, queue: &Arc<str>) -> Result<(), Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            None => Ok(()),
            Some((right, said)) => {
                Err(Error::AccessDenied { queue: Arc::clone(queue), right, source: said.into() })
            }
        }
    }

    /// Waits for one.
    pub(super) async fn next(&self, queue: &Arc<str>) -> Error {
        loop {
            if let Err(error) = self.take(queue) {
                return error;
            }
            self.changed.notified().await;
        }
    }
}
