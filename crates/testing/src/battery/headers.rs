use http::{HeaderMap, HeaderName, HeaderValue};
use throughline_core::{ReadCarrier, WriteCarrier};

/// The headers of a message, of any protocol: names and bytes, in their order, some of them more
/// than once.
///
/// It is a carrier itself, and becomes an [`http::HeaderMap`] and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Headers::default()
    }

    /// Adds a header, beside others of its name.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The values of a name, whatever its case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Headers::new();
        pairs.into_iter().for_each(|(name, value)| headers.push(name, value));
        headers
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>, const LENGTH: usize> From<[(N, V); LENGTH]> for Headers {
    fn from(pairs: [(N, V); LENGTH]) -> Self {
        pairs.into_iter().collect()
    }
}

impl IntoIterator for Headers {
    type Item = (String, Vec<u8>);
    type IntoIter = std::vec::IntoIter<(String, Vec<u8>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What HTTP can't carry is left out.
impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        let pairs = headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        });
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        map
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }
}

impl ReadCarrier for Headers {
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.0.visit(name, each);
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
}

impl WriteCarrier for Headers {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.0.replace(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        WriteCarrier::remove(&mut self.0, name);
    }
}
