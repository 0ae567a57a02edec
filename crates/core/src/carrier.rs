//! Where a context is read from and written to: anything with named values.
//!
//! A boundary brings its own carrier as a newtype over the headers of its protocol; the ones
//! here are for what many protocols share: [`HeaderMap`], string maps, lists of byte pairs, and
//! the [environment](EnvCarrier) of a process.
//! Names are compared without regard to case, values are bytes, because nothing that comes from
//! outside is known to be text.

mod env;

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use http::{HeaderMap, HeaderName, HeaderValue};

pub use env::{EnvCarrier, env_key};

/// A carrier that a context can be extracted from.
pub trait ReadCarrier {
    /// Calls `each` with every value of `name`, in the order of the carrier.
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8]));

    /// Calls `each` with every value of each of `names`, and the place of its name in the list;
    /// the values of one name in the order of the carrier.
    #[inline]
    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        for (place, name) in names.into_iter().enumerate() {
            self.visit(name, |value| each(place, value));
        }
    }

    /// The names in the carrier, for propagators that look for a prefix.
    fn names(&self) -> Vec<&str>;
}

/// How many headers a map has at the most to be read through once, and not be searched for each
/// name: hashing a name costs as much as passing four headers by.
const FEW_HEADERS: usize = 10;

/// A carrier that a context can be injected into.
pub trait WriteCarrier {
    /// Makes `value` the only value of `name`, whatever stood there before.
    ///
    /// `value` is printable ASCII. A carrier that is full drops it: a request is worth more than
    /// its trace.
    fn replace(&mut self, name: &HeaderName, value: &str);

    /// The same for what was printed as bytes. A carrier that holds bytes takes them as they are,
    /// and is spared to hear that they are text.
    #[inline]
    fn replace_bytes(&mut self, name: &HeaderName, value: &[u8]) {
        // Always text: see above.
        if let Ok(value) = std::str::from_utf8(value) {
            self.replace(name, value);
        }
    }

    /// Removes every value of `name`.
    fn remove(&mut self, name: &HeaderName);
}

impl ReadCarrier for HeaderMap {
    #[inline]
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.get_all(name).into_iter().map(HeaderValue::as_bytes).for_each(each);
    }

    #[inline]
    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        if self.len() > FEW_HEADERS {
            for (place, name) in names.into_iter().enumerate() {
                self.visit(name, |value| each(place, value));
            }
            return;
        }
        for (name, value) in self {
            if let Some(place) = names.iter().position(|wanted| *wanted == name) {
                each(place, value.as_bytes());
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(HeaderName::as_str).collect()
    }
}

impl WriteCarrier for HeaderMap {
    #[inline]
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.replace_bytes(name, value.as_bytes());
    }

    #[inline]
    fn replace_bytes(&mut self, name: &HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            // `insert` panics on a map that holds all the headers it can, and `try_insert` refuses
            // even a name that is there: nothing is better than what is stale.
            if self.try_insert(name, value).is_err() {
                HeaderMap::remove(self, name);
            }
        }
    }

    #[inline]
    fn remove(&mut self, name: &HeaderName) {
        // Most often there is nothing to remove, which a look at few headers tells.
        if self.len() > FEW_HEADERS || self.keys().any(|held| held == name) {
            HeaderMap::remove(self, name);
        }
    }
}

macro_rules! string_map {
    ($($map:ty, [$($generics:tt)*])*) => {$(
        impl<$($generics)*> ReadCarrier for $map {
            fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
                for (key, value) in self {
                    if key.eq_ignore_ascii_case(name.as_str()) {
                        each(value.as_bytes());
                    }
                }
            }

            fn names(&self) -> Vec<&str> {
                self.keys().map(String::as_str).collect()
            }
        }

        impl<$($generics)*> WriteCarrier for $map {
            fn replace(&mut self, name: &HeaderName, value: &str) {
                WriteCarrier::remove(self, name);
                self.insert(name.as_str().to_owned(), value.to_owned());
            }

            fn remove(&mut self, name: &HeaderName) {
                self.retain(|key, _| !key.eq_ignore_ascii_case(name.as_str()));
            }
        }
    )*};
}
string_map! {
    HashMap<String, String, S>, [S: BuildHasher]
    BTreeMap<String, String>, []
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> ReadCarrier for [(K, V)] {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        for (key, value) in self {
            if key.as_ref().eq_ignore_ascii_case(name.as_str().as_bytes()) {
                each(value.as_ref());
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.iter().filter_map(|(key, _)| std::str::from_utf8(key.as_ref()).ok()).collect()
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> ReadCarrier for Vec<(K, V)> {
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.as_slice().visit(name, each);
    }

    fn names(&self) -> Vec<&str> {
        self.as_slice().names()
    }
}

impl<K, V> WriteCarrier for Vec<(K, V)>
where
    K: AsRef<[u8]> + for<'a> From<&'a str>,
    V: for<'a> From<&'a str>,
{
    fn replace(&mut self, name: &HeaderName, value: &str) {
        WriteCarrier::remove(self, name);
        self.push((name.as_str().into(), value.into()));
    }

    fn remove(&mut self, name: &HeaderName) {
        self.retain(|(key, _)| !key.as_ref().eq_ignore_ascii_case(name.as_str().as_bytes()));
    }
}
