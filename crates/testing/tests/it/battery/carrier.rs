//! The headers of a message, as a boundary that may be wrong knows them.

use http::HeaderName;
use throughline_core::{ReadCarrier, WriteCarrier};
use throughline_testing::battery::Headers;

use super::wrong::Wrong::{self, *};

/// What came.
pub(super) struct Came<'a>(pub(super) &'a Headers, pub(super) Wrong);

impl ReadCarrier for Came<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        let Came(headers, wrong) = self;
        let pairs = headers.iter().filter(|(key, _)| match wrong {
            MindsTheCaseOf(of) if name == of => *key == *of,
            _ => key.eq_ignore_ascii_case(name.as_str()),
        });
        let most = if *wrong == ReadsTheFirst(known(name)) { 1 } else { usize::MAX };
        pairs.take(most).map(|(_, value)| value).for_each(each);
    }

    fn names(&self) -> Vec<&str> {
        let names = self.0.iter().map(|(name, _)| name);
        match self.1 {
            NamesNothing => Vec::new(),
            NamesTheFirst(most) => names.take(most).collect(),
            _ => names.collect(),
        }
    }
}

fn known(name: &HeaderName) -> &'static str {
    let known = ["traceparent", "tracestate", "baggage"];
    known.into_iter().find(|known| name == known).unwrap_or_default()
}

/// What leaves.
pub(super) struct Leaves<'a>(pub(super) &'a mut Headers, pub(super) Wrong);

impl Leaves<'_> {
    fn take_away(&mut self, is_it: impl Fn(&str) -> bool) {
        let headers = std::mem::take(self.0);
        *self.0 = headers.into_iter().filter(|(key, _)| !is_it(key)).collect();
    }
}

impl WriteCarrier for Leaves<'_> {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        match self.1 {
            MindsTheCaseOf(of) if name == of => self.take_away(|key| key == of),
            _ => self.take_away(|key| key.eq_ignore_ascii_case(name.as_str())),
        }
        self.0.push(name.as_str(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        match self.1 {
            MindsTheCaseOf(of) | MindsTheCaseToRemove(of) if name == of => {
                self.take_away(|key| key == of);
            }
            _ => self.take_away(|key| key.eq_ignore_ascii_case(name.as_str())),
        }
    }
}
