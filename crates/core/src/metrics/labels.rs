use std::sync::Arc;

use opentelemetry::{Key, KeyValue, Value};

use super::hosts;
use crate::http::Host;
use crate::semconv;

/// No metric here has more.
const MAX: usize = 10;

/// The attributes of a measurement, from bounded sets each.
#[derive(Clone, Debug)]
pub struct Labels {
    list: [KeyValue; MAX],
    len: usize,
}

impl Labels {
    pub(super) fn new() -> Self {
        let none = || KeyValue::new(Key::from_static_str(""), false);
        Labels { list: std::array::from_fn(|_| none()), len: 0 }
    }

    /// Sets one, anew where it is set already. More than ten are left out.
    #[inline]
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if let Some(found) = self.list[..self.len].iter_mut().find(|it| it.key.as_str() == key) {
            found.value = value;
        } else if let Some(next) = self.list.get_mut(self.len) {
            *next = KeyValue::new(Key::from_static_str(key), value);
            self.len += 1;
        }
    }

    /// Sets one that isn't set yet.
    pub(super) fn set_first(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.get(key).is_none() {
            self.set(key, value);
        }
    }

    /// Sets `server.address` and `server.port` of a message that goes out. A process that calls more
    /// than 256 of them tells of the others as `_OTHER`, without a port.
    pub fn set_server(&mut self, host: &Host) {
        if !hosts::are_told(host) {
            return self.set(semconv::SERVER_ADDRESS, semconv::OTHER);
        }
        self.set(semconv::SERVER_ADDRESS, Arc::clone(&host.address));
        if let Some(port) = host.port {
            self.set(semconv::SERVER_PORT, i64::from(port));
        }
    }

    pub(super) fn all(&self) -> &[KeyValue] {
        &self.list[..self.len]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.all().iter().find(|it| it.key.as_str() == key).map(|it| &it.value)
    }
}
