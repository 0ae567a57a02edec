//! Baggage: small facts that travel with a trace through every service, for the code in between.
//!
//! What is set here is carried by every boundary below, to wherever
//! [`Propagate`](crate::Propagate) lets it. It is not secret, nobody vouches for it, and it costs
//! room in every request: an id of a tenant, not a document.
//!
//! Contexts don't change: to set or to remove something makes a new one, to be attached or to run a
//! future in.
//!
//! ```
//! use throughline_core::{InContext, baggage};
//!
//! # async fn next() {}
//! # async fn handle() -> Result<(), baggage::BaggageError> {
//! let context = baggage::set("tenant", "acme")?;
//! InContext::new(next(), context).await;
//!
//! let _attached = baggage::set("tenant", "acme")?.attach();
//! assert_eq!(baggage::get("tenant").as_deref(), Some("acme"));
//! # Ok(()) }
//! ```

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::{Context, KeyValue};

use crate::codec::baggage::{MAX_BYTES, MAX_MEMBERS, is_token, len};

/// Why something can't be put into baggage. The value isn't told: it may be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaggageError {
    /// The key isn't one that a header can hold.
    #[error("{0:?} is no key of baggage: use letters, digits and !#$%&'*+-.^_`|~, and no space")]
    Key(String),
    /// There are as many members as travel.
    #[error("baggage holds {MAX_MEMBERS} members already, and no more travel: remove one first")]
    TooMany,
    /// It would be longer than what travels.
    #[error(
        "with {key:?} baggage would be {bytes} bytes long, and no more than {MAX_BYTES} travel: \
         shorten it, or remove another member first"
    )]
    TooLong {
        /// What was to be set.
        key: String,
        /// How long all of it would be, as a header.
        bytes: usize,
    },
}

/// A value of the baggage that is current.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    Context::map_current(|current| current.baggage().get(key).map(ToString::to_string))
}

/// The baggage that is current: keys and values, in no order.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    Context::map_current(|current| {
        let members = current.baggage().iter();
        members.map(|(key, (value, _))| (key.to_string(), value.to_string())).collect()
    })
}

/// The current context with this in its baggage, in the place of what had the same key.
///
/// # Errors
///
/// When the key can't be a key, or the baggage would be too large to travel. Then the current
/// context is as it was.
pub fn set(key: &str, value: impl Into<String>) -> Result<Context, BaggageError> {
    if !is_token(key.as_bytes()) {
        return Err(BaggageError::Key(key.to_owned()));
    }
    let current = Context::current();
    let mut baggage = copy(current.baggage(), key);
    if baggage.len() >= MAX_MEMBERS {
        return Err(BaggageError::TooMany);
    }
    let value = value.into();
    let alone = key.len() + 1 + value.len();
    baggage.insert(key.to_owned(), value);
    // OpenTelemetry leaves out, without a word, what is too long for it.
    let bytes = match baggage.get(key) {
        Some(_) => len(&baggage),
        None => len(&baggage) + usize::from(!baggage.is_empty()) + alone,
    };
    match bytes > MAX_BYTES {
        true => Err(BaggageError::TooLong { key: key.to_owned(), bytes }),
        false => Ok(current.with_baggage(baggage)),
    }
}

/// The current context without this in its baggage.
#[must_use]
pub fn remove(key: &str) -> Context {
    let current = Context::current();
    let baggage = copy(current.baggage(), key);
    current.with_baggage(baggage)
}

/// All but one.
fn copy(baggage: &Baggage, but: &str) -> Baggage {
    let mut copy = Baggage::new();
    for (key, (value, properties)) in baggage {
        if key.as_str() != but {
            copy.insert_with_metadata(key.clone(), value.clone(), properties.clone());
        }
    }
    copy
}

/// The members of a context's baggage with these keys, as attributes of the same names.
///
/// For processors of spans and formatters of logs.
pub fn picked<'a>(context: &'a Context, keys: &'a [String]) -> impl Iterator<Item = KeyValue> + 'a {
    let baggage = context.baggage();
    keys.iter().filter_map(|key| {
        let value = baggage.get(key)?;
        Some(KeyValue::new(key.clone(), value.clone()))
    })
}
