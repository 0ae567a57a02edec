//! The span of a commit.

use opentelemetry::trace::SpanKind;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use throughline_core::messaging::{Destination, destination};
use throughline_core::{Description, End, semconv};

use super::{Hooks, StreamConsumer};
use crate::error::failed;
use crate::settings::COMMIT;

/// Room for what describes a commit, and its end.
const CAPACITY: usize = 9;

impl<H: Hooks, O> StreamConsumer<H, O> {
    /// Commits, in a span of its own. What librdkafka commits by itself, and what a runner does, has
    /// none: it is nobody's request, and would be a trace every few seconds.
    pub(super) fn settle(&self, commit: impl FnOnce() -> KafkaResult<()>) -> KafkaResult<()> {
        let topic = self.only_topic();
        let settings = &self.settings;
        let mut span = settings.config.send(SpanKind::Client, || {
            let mut span = match &topic {
                Some(topic) => {
                    let Destination { name, destination } = destination(COMMIT.name, topic);
                    let mut span = Description::new(name, CAPACITY);
                    span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
                    span
                }
                None => Description::new(COMMIT.name, CAPACITY),
            };
            settings.describe(&mut span, COMMIT);
            span
        });
        settings.measure(&mut span, COMMIT, topic.as_deref(), None);
        let result = span.enter(commit);
        span.end(result.as_ref().map_or_else(failed, |()| End::Completed));
        result
    }

    /// The topic that is read here, if it is one.
    fn only_topic(&self) -> Option<String> {
        let assigned = self.client.consumer.assignment().ok()?;
        let elements = assigned.elements();
        let (first, others) = elements.split_first()?;
        let is_only = others.iter().all(|other| other.topic() == first.topic());
        is_only.then(|| first.topic().to_owned())
    }
}
