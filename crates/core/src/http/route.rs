use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry::{StringValue, Value};

use super::Method;

/// A span's name and its `http.route`.
#[derive(Clone, Debug)]
pub struct Route {
    /// `GET /users/{id}`
    pub name: Cow<'static, str>,
    /// `/users/{id}`
    pub route: Value,
}

/// The template of a URL, `/users/{id}`, in the extensions of a request that goes out: its span is
/// named after it, and `url.template` tells it. Only the caller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate(pub Cow<'static, str>);

impl UrlTemplate {
    /// This template. One that is written in the program costs no allocation.
    #[must_use]
    pub fn new(template: impl Into<Cow<'static, str>>) -> Self {
        UrlTemplate(template.into())
    }
}

/// How many names are kept for ever. A router has fewer; whoever takes paths for routes pays for
/// each of them, but not with memory that never comes back.
const MAX_INTERNED: usize = 4096;
const SLOTS: usize = 64;

/// What was looked up last in a slot: where the route lay in memory, and its name.
#[derive(Clone, Copy)]
struct Entry {
    key: (usize, usize, usize),
    name: &'static str,
}

thread_local! {
    static RECENT: [Cell<Option<Entry>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
}

/// Names a span after its method and route, without an allocation once a route was seen.
#[must_use]
#[inline]
pub fn route(method: Method, route: &str) -> Route {
    match interned(method.name, route) {
        Some(name) => {
            let route = &name[method.name.len() + 1..];
            Route { name: Cow::Borrowed(name), route: Value::String(StringValue::from(route)) }
        }
        None => Route {
            name: Cow::Owned(format!("{} {route}", method.name)),
            route: Value::from(route.to_owned()),
        },
    }
}

/// `method` and `route` with a space between, kept for ever; `None` once too many are.
#[inline]
pub(crate) fn interned(method: &'static str, route: &str) -> Option<&'static str> {
    // A router hands out the same string each time: its place in memory finds the name, and a
    // comparison of the text makes sure that it still holds.
    let key = (route.as_ptr() as usize, route.len(), method.as_ptr() as usize);
    let mix = ((key.0 >> 4) ^ key.2) as u64;
    let slot = (mix.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize;
    RECENT.with(|recent| {
        let slot = &recent[slot % SLOTS];
        if let Some(entry) = slot.get()
            && entry.key == key
            && entry.name.ends_with(route)
        {
            return Some(entry.name);
        }
        let name = intern(method, route)?;
        slot.set(Some(Entry { key, name }));
        Some(name)
    })
}

#[cold]
fn intern(method: &'static str, route: &str) -> Option<&'static str> {
    static NAMES: Mutex<Option<HashMap<String, &'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    let name = format!("{method} {route}");
    if let Some(name) = names.get(&name) {
        return Some(name);
    }
    (names.len() < MAX_INTERNED).then(|| {
        let leaked: &'static str = String::leak(name.clone());
        names.insert(name, leaked);
        leaked
    })
}
