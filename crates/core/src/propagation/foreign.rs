//! Carriers as OpenTelemetry's [`Extractor`] and [`Injector`], for propagators that aren't ours.

use http::HeaderName;
use opentelemetry::propagation::{Extractor, Injector};

use crate::carrier::{ReadCarrier, WriteCarrier};

pub(crate) struct Reader<'a, C: ?Sized>(pub(crate) &'a C);

impl<C: ReadCarrier + ?Sized> Extractor for Reader<'_, C> {
    fn get(&self, key: &str) -> Option<&str> {
        self.get_all(key)?.into_iter().next()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.names()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let name = HeaderName::from_bytes(key.as_bytes()).ok()?;
        let mut values = Vec::new();
        self.0.visit(&name, |value| values.extend(std::str::from_utf8(value)));
        (!values.is_empty()).then_some(values)
    }
}

pub(crate) struct Writer<'a, C: ?Sized>(pub(crate) &'a mut C);

impl<C: WriteCarrier + ?Sized> Injector for Writer<'_, C> {
    fn set(&mut self, key: &str, value: String) {
        // Nothing empty, and nothing that could end the header and begin another.
        let is_plain = value.bytes().all(|byte| byte == b'\t' || matches!(byte, b' '..=b'~'));
        if let Ok(name) = HeaderName::from_bytes(key.as_bytes())
            && is_plain
            && !value.is_empty()
        {
            self.0.replace(&name, &value);
        }
    }
}
