//! What a consumer can be told.

use std::sync::Arc;

use throughline_core::{Config, Trust};

use super::{Hooks, StreamConsumer};
use crate::settings::Settings;

impl<H: Hooks, O> StreamConsumer<H, O> {
    fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let config = change(settings.config);
        let settings = Settings { config, ..settings };
        StreamConsumer { settings: Arc::new(settings), ..self }
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

    /// Excuses topics from [`expect_parent`](Self::expect_parent), by name: those that somebody
    /// outside writes to, say.
    #[must_use]
    pub fn expect_no_parent_of(
        self,
        excused: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let settings = Arc::unwrap_or_clone(self.settings);
        let settings = Settings { excused: Some(Arc::new(excused)), ..settings };
        StreamConsumer { settings: Arc::new(settings), ..self }
    }

    throughline_core::config_setters!();
}
