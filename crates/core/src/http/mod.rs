//! What the boundaries of HTTP share, servers and clients alike: methods, hosts, redaction.

mod captured;
mod host;
mod method;
mod redact;
mod route;
mod sent;

pub use crate::cache::shared_str;
pub use captured::Captured;
pub use host::{Host, host, origin};
pub use method::{Method, method};
pub use redact::{is_secret_header, redact_query, redact_text, redact_url};
pub(crate) use route::interned;
pub use route::{Route, UrlTemplate, route};
pub use sent::{Rewrite, describe_sent};

use ::http::Version;

/// `network.protocol.version` of a message.
#[must_use]
#[inline]
pub fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
