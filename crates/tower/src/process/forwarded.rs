//! Who sent a request that came through proxies.

use http::{HeaderMap, HeaderName};

const FORWARDED: HeaderName = http::header::FORWARDED;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that the outermost of `proxies` trusted ones saw: each adds, at the end of the list,
/// whom it was called by. What stands further left is what somebody claims.
///
/// `X-Forwarded-For` and `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) are read.
/// `None` where they tell of different addresses, since a proxy writes one and passes the other on as
/// it came, and where there are fewer entries than proxies: the request came by another way.
pub(super) fn client_address(headers: &HeaderMap, proxies: usize) -> Option<String> {
    let place = proxies.checked_sub(1)?;
    let of = |name: &HeaderName| -> Vec<&str> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).collect()
    };
    let (forwarded, for_all) = (of(&FORWARDED), of(&X_FORWARDED_FOR));
    let named = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, address) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case("for"))?;
        self::address(address.trim().trim_matches('"'))
    };
    let forwarded =
        (!forwarded.is_empty()).then(|| forwarded.into_iter().rev().nth(place).and_then(named));
    let for_all =
        (!for_all.is_empty()).then(|| for_all.into_iter().rev().nth(place).and_then(address));
    match (forwarded, for_all) {
        (Some(one), Some(other)) => one.filter(|one| other.as_ref() == Some(one)),
        (one, other) => one.or(other)?,
    }
}

/// Without a port; an address or a name that hides one (`unknown`, `_hidden`), and nothing else.
fn address(entry: &str) -> Option<String> {
    let address = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match entry.split_once(':') {
            // Several colons are an address of IPv6 without brackets.
            Some((address, port)) if !port.contains(':') => address,
            _ => entry,
        },
    };
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'_' | b'-');
    let is_valid = (1..=64).contains(&address.len()) && address.bytes().all(is_plain);
    is_valid.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)], proxies: usize) -> Option<String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        client_address(&pairs.collect(), proxies)
    }

    #[test]
    fn only_what_a_trusted_proxy_saw_is_believed() {
        let forged = [("x-forwarded-for", "6.6.6.6, 10.0.0.7"), ("x-forwarded-for", "10.0.0.8")];
        assert_eq!(of(&forged, 0), None);
        assert_eq!(of(&forged, 1).as_deref(), Some("10.0.0.8"));
        assert_eq!(of(&forged, 2).as_deref(), Some("10.0.0.7"));
        assert_eq!(of(&forged, 4), None);
        assert_eq!(of(&[], 1), None);
    }

    #[test]
    fn a_header_that_no_proxy_wrote_is_not_believed() {
        let forged = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(of(&forged, 1), None);
        let agreed = [("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(of(&agreed, 1).as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn addresses_of_both_headers() {
        let cases = [
            ("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43", Some("192.0.2.60")),
            (
                "forwarded",
                "for=6.6.6.6, proto=https;For=\"[2001:db8::17]:4711\"",
                Some("2001:db8::17"),
            ),
            ("forwarded", "for=_hidden", Some("_hidden")),
            ("forwarded", "proto=https", None),
            ("x-forwarded-for", "192.0.2.60:4711", Some("192.0.2.60")),
            ("x-forwarded-for", "2001:db8::17", Some("2001:db8::17")),
            ("x-forwarded-for", "<script>", None),
            ("x-forwarded-for", "", None),
        ];
        for (name, value, wanted) in cases {
            assert_eq!(of(&[(name, value)], 1).as_deref(), wanted, "{name}: {value}");
        }
    }
}
