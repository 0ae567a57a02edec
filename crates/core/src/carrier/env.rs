//! The environment of a process, as a parent leaves it for its child.

use std::ffi::OsString;
use std::fmt;

use http::HeaderName;
use opentelemetry::propagation::Extractor;

use super::ReadCarrier;

/// The variable that stands for the header `name`: upper case, `_` for whatever isn't a letter or
/// digit, and a `_` before a digit that would come first.
///
/// ```
/// use throughline_core::carrier::env_key;
///
/// assert_eq!(env_key("traceparent"), "TRACEPARENT");
/// assert_eq!(env_key("x-b3-traceid"), "X_B3_TRACEID");
/// ```
#[must_use]
pub fn env_key(name: &str) -> String {
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let mut key = String::with_capacity(name.len() + usize::from(starts_with_digit));
    if starts_with_digit {
        key.push('_');
    }
    key.extend(name.chars().map(normal));
    key
}

fn normal(char: char) -> char {
    if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' }
}

/// Whether `key` is the variable of `name`, without making that.
fn is_key_of(key: &str, name: &str) -> bool {
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let key = if starts_with_digit { key.strip_prefix('_') } else { Some(key) };
    key.is_some_and(|key| key.chars().eq(name.chars().map(normal)))
}

/// Whether `key` is what [`env_key`] makes of some name.
fn is_normal(key: &str) -> bool {
    !key.starts_with(|first: char| first.is_ascii_digit())
        && key.chars().all(|char| normal(char) == char)
}

/// A carrier to read from: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE` and their like, as they were when
/// it was made.
///
/// Read it once, at start-up: what is in a process's environment belongs to the span that started
/// the process. There is nothing to write here, since a process must not change an environment
/// that its threads share; for a child, give it a copy of its own ([`env_key`] names the
/// variables).
///
/// ```
/// use throughline_core::Config;
/// use throughline_core::carrier::EnvCarrier;
///
/// let config = Config::new("my-job", "1.0.0");
/// let extraction = config.extract(&EnvCarrier::of_process());
/// ```
#[derive(Clone, Default)]
pub struct EnvCarrier(Vec<(String, OsString)>);

impl EnvCarrier {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        EnvCarrier::new(std::env::vars_os())
    }

    /// These variables. Those whose names aren't normal ([`env_key`]) are left out.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables.into_iter().filter_map(|(key, value)| {
            let key = key.into_string().ok()?;
            is_normal(&key).then_some((key, value))
        });
        EnvCarrier(variables.collect())
    }
}

impl ReadCarrier for EnvCarrier {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        for (key, value) in &self.0 {
            if is_key_of(key, name.as_str()) {
                each(value.as_encoded_bytes());
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }
}

/// For propagators of others.
impl Extractor for EnvCarrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| is_key_of(name, key))?.1.to_str()
    }

    fn keys(&self) -> Vec<&str> {
        self.names()
    }
}

/// Without the values: an environment is full of secrets.
impl fmt::Debug for EnvCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}
