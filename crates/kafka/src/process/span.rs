//! The span of a message, and what becomes of its offset.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use rdkafka::error::KafkaResult;
use throughline_core::messaging::{Destination, destination};
use throughline_core::{BoundarySpan, Description, Extraction, semconv};

use super::Message;
use crate::consumer::{State, Ticket};
use crate::error::{Failed, Reason};
use crate::extract::RecordHeaders;
use crate::settings::{Settings, partition_id};

const OPERATION: &str = "process";

/// Room for the attributes below, for how it ended, and for a few of the handler's.
const CAPACITY: usize = 14;

/// Starts the span of a message, in the trace that it came with. Whatever is current here, the
/// consumer's own loop for one, is linked to.
pub(crate) fn start(
    settings: &Settings,
    message: Message<'_>,
    extraction: Extraction,
) -> BoundarySpan {
    let expects = settings.expects_parent(message.topic());
    settings.config.receive_expecting(extraction, expects, SpanKind::Consumer, || {
        let Destination { name, destination } = destination(OPERATION, message.topic());
        let mut span = Description::new(name, CAPACITY);
        settings.describe(&mut span, OPERATION);
        span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
        let partition = partition_id(message.partition());
        span.set(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition);
        span.set(semconv::KAFKA_OFFSET, message.offset());
        if message.payload().is_none() {
            span.set(semconv::KAFKA_MESSAGE_TOMBSTONE, true);
        }
        if let Some(ambient) = ambient() {
            span.link(ambient);
        }
        span
    })
}

/// Takes the context out of a message.
pub(crate) fn extract(settings: &Settings, message: Message<'_>) -> Extraction {
    settings.config.extract(&RecordHeaders(message.headers()))
}

fn ambient() -> Option<SpanContext> {
    Context::map_current(|current| {
        let span = current.span();
        let ambient = span.span_context();
        ambient.is_valid().then(|| ambient.clone())
    })
}

/// A message that was handed out and has to be finished: otherwise it failed.
#[derive(Debug)]
pub(crate) struct Pending {
    ticket: Ticket,
    state: Arc<State>,
    /// Whether what becomes of the offset is our affair.
    acknowledge: bool,
    settled: bool,
}

impl Pending {
    pub(crate) fn new(ticket: Ticket, state: Arc<State>, acknowledge: bool) -> Self {
        Pending { ticket, state, acknowledge, settled: false }
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Whether the partition is still read here, as it was when the message was handed out, and
    /// nothing before it has failed since.
    pub(crate) fn is_current(&self) -> bool {
        self.state.offsets.is_current(&self.ticket)
    }

    /// Its handler has succeeded. `store` is told how far the partition is acknowledged by that,
    /// if that is our affair and has moved.
    pub(crate) fn finish(mut self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        self.settled = true;
        self.state.processed();
        self.leave(store);
    }

    /// Its handler has failed, and the partition goes on all the same.
    pub(crate) fn pass(mut self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        self.settled = true;
        self.state.passed();
        self.leave(store);
    }

    fn leave(&self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        let stored = self.state.offsets.finish(&self.ticket, |position| match self.acknowledge {
            true => store(&self.ticket, position),
            false => Ok(()),
        });
        // Told after the book is closed: whoever listens to the log may want to look into it.
        if let Some(Err(error)) = stored {
            // The partition was taken away a moment ago: whoever has it now gets the message again.
            tracing::debug!(%error, "an offset was not stored");
        }
    }

    /// Its handler has failed: its partition stands still, if that is our affair.
    pub(crate) fn fail(mut self, reason: Reason) -> Failed {
        self.settled = true;
        self.failed(reason)
    }

    fn failed(&self, reason: Reason) -> Failed {
        let Ticket { topic, partition, offset, .. } = &self.ticket;
        let failed =
            Failed { topic: Arc::clone(topic), partition: *partition, offset: *offset, reason };
        if self.acknowledge {
            self.state.fail(&self.ticket, failed.clone());
        } else {
            self.state.count_failure(&failed);
            self.leave(|_, _| Ok(()));
        }
        failed
    }

    /// Nobody will process it here: it is given back, and that is nobody's failure.
    pub(crate) fn give_back(mut self) {
        self.settled = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.settled {
            let reason = if std::thread::panicking() {
                Reason::Panicked("what it said was told where it happened".to_owned())
            } else {
                Reason::Dropped
            };
            self.failed(reason);
        }
    }
}
