use std::sync::Arc;

use crate::cache::Table;

thread_local! {
    static HOSTS: Table<Host, 32> = const { Table::new() };
    static ORIGINS: Table<Host, 16> = const { Table::new() };
}

/// A host and the port it was given with, for `server.address` and `server.port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// The name or address, without brackets.
    pub address: Arc<str>,
    /// The port, where one was given.
    pub port: Option<u16>,
}

/// Takes apart a `host` header or an authority; `None` where it names no host.
#[must_use]
#[inline]
pub fn host(authority: &[u8]) -> Option<Host> {
    Table::get(&HOSTS, authority, || parse(std::str::from_utf8(authority).ok()?))
}

/// The host of a URL, with the port that its scheme has where none was given; `None` where it names
/// no host.
#[must_use]
#[inline]
pub fn origin(url: &str) -> Option<Host> {
    Table::get(&ORIGINS, url.as_bytes(), || parse_origin(url))
}

#[cold]
fn parse_origin(url: &str) -> Option<Host> {
    let (scheme, rest) = url.split_once("://")?;
    let found = parse(rest.split(['/', '?', '#']).next()?)?;
    let default = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    Some(Host { port: found.port.or(default), ..found })
}

#[cold]
fn parse(authority: &str) -> Option<Host> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (address, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            (address, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (authority, None),
        },
    };
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic());
    (!address.is_empty() && is_plain)
        .then(|| Host { address: address.into(), port: port.and_then(|port| port.parse().ok()) })
}
