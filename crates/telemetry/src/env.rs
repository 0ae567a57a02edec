//! The environment: read once, at start-up, with what was wrong in it kept for the log.

use std::collections::VecDeque;
use std::env::VarError;
use std::time::Duration;

use crate::diag;

/// Whether spans are made at all: two places have to agree on it.
pub(crate) const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";

type Say = fn(&str);

/// Reads variables. An unset and an empty one are the same, as the specification wants it, and a
/// value that can't be used is ignored with a warning: nobody's service stays down for a typo in
/// a tuning knob.
#[derive(Debug, Default)]
pub(crate) struct Env {
    told: VecDeque<(Say, String)>,
}

impl Env {
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match std::env::var(name) {
            Ok(value) if value.trim().is_empty() => None,
            Ok(value) => Some(value.trim().to_owned()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.warn(format!("{name} is ignored: its value is not valid UTF-8"));
                None
            }
        }
    }

    /// The first of `names` that is set, with its name.
    pub(crate) fn first(&mut self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| self.text(name).map(|value| (*name, value)))
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.text(name) {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(value) => {
                self.warn(format!("{name}={value:?} is ignored: use true or false"));
                false
            }
        }
    }

    /// A whole number above zero from the first of `names` that is set.
    pub(crate) fn positive(&mut self, names: &[&'static str]) -> Option<u64> {
        let (name, value) = self.first(names)?;
        match value.parse::<u64>() {
            Ok(number) if number > 0 => Some(number),
            _ => {
                self.warn(format!("{name}={value:?} is ignored: use a whole number above 0"));
                None
            }
        }
    }

    /// As [`positive`](Env::positive), for what memory is taken for at the start.
    pub(crate) fn size(&mut self, name: &'static str, most: u32) -> Option<u64> {
        let number = self.positive(&[name])?;
        if number > u64::from(most) {
            self.warn(format!("{name}={number} is more than can be kept; {most} is used"));
        }
        Some(number.min(most.into()))
    }

    /// A limit: a whole number, zero included.
    pub(crate) fn limit(&mut self, name: &str) -> Option<u32> {
        let value = self.text(name)?;
        let limit = value.parse().ok();
        if limit.is_none() {
            self.warn(format!("{name}={value:?} is ignored: use a whole number"));
        }
        limit
    }

    pub(crate) fn millis(&mut self, names: &[&'static str]) -> Option<Duration> {
        self.positive(names).map(Duration::from_millis)
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.told.push_back((diag::warn, text.into()));
    }

    /// As [`warn`](Env::warn), for what costs data.
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.told.push_back((diag::error, text.into()));
    }

    /// Says everything that was wrong. To be called once there is a subscriber, if there will be.
    pub(crate) fn report(&mut self) {
        while let Some((say, text)) = self.told.pop_front() {
            say(&text);
        }
    }
}
