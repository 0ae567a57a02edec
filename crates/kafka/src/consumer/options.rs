//! What a consumer can be told.

use std::sync::Arc;

use throughline_core::messaging::CreationContext;
use throughline_core::{Config, Trust};

use super::{Hooks, StreamConsumer};
use crate::settings::Settings;

impl<H: Hooks, O> StreamConsumer<H, O> {
    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        change(&mut settings);
        StreamConsumer { settings: Arc::new(settings), ..self }
    }

    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        self.change(|settings| settings.config = change(settings.config.clone()))
    }

    /// How far producers are trusted; [`Trust::Continue`] unless told otherwise. With
    /// [`Trust::Link`] each record begins a trace of its own, linked to its sender's.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        self.map(|config| config.trust(trust))
    }

    /// Lets these members of baggage in from senders whose trace is not continued; see
    /// [`Config::admit_baggage`].
    #[must_use]
    pub fn admit_baggage(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.map(|config| config.admit_baggage(keys))
    }

    /// Says that every record comes from a service that sends its context, so that one without is
    /// a break; see [`Config::expect_parent`].
    #[must_use]
    pub fn expect_parent(self, expect: bool) -> Self {
        self.map(|config| config.expect_parent(expect))
    }

    /// What a record's own context is to the span that processes it alone:
    /// [`CreationContext::Parent`], the default, or [`CreationContext::Link`], for a service whose
    /// own work is what matters (a job that reads a backlog), or whose records are read by many. To a
    /// batch it is always a link.
    ///
    /// Linked or not, the record's baggage holds in the handler.
    #[must_use]
    pub fn creation_context(self, is: CreationContext) -> Self {
        self.change(|settings| settings.creation_context = is)
    }

    /// Tells the keys of records, where they are text, as `kafka.message.key`; off by default, since
    /// keys can be personal.
    #[must_use]
    pub fn capture_keys(self, capture: bool) -> Self {
        self.change(|settings| settings.capture_keys = capture)
    }

    /// How many links a span may have: what a provider says that was told so in code. Unless told
    /// otherwise it is 128, or what `OTEL_SPAN_LINK_COUNT_LIMIT` says. More of them go to further
    /// spans: see [`Batch::process_batch`](crate::Batch::process_batch).
    #[must_use]
    pub fn max_links_per_span(self, max_links: usize) -> Self {
        self.change(|settings| settings.max_links = max_links)
    }

    /// Excuses topics from [`expect_parent`](Self::expect_parent), by name: those that somebody
    /// outside writes to, say.
    #[must_use]
    pub fn expect_no_parent_of(
        self,
        excused: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.change(|settings| settings.excused = Some(Arc::new(excused)))
    }

    throughline_core::config_setters!();
}
