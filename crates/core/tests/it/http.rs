use http::Method;
use throughline_core::http::{
    Host, host, method, origin, redact_query, redact_text, redact_url, route,
};

#[test]
fn methods_are_a_bounded_set() {
    assert_eq!(method(&Method::PATCH).attribute, "PATCH");
    assert_eq!(method(&"QUERY".parse().expect("a method")).name, "QUERY");
    let unknown = method(&"get".parse().expect("a method"));
    assert_eq!((unknown.attribute, unknown.name, unknown.is_other()), ("_OTHER", "HTTP", true));
}

#[test]
fn hosts_are_taken_apart() {
    let cases = [
        ("api.example.com", Some(("api.example.com", None))),
        ("api.example.com:8080", Some(("api.example.com", Some(8080)))),
        ("[::1]:80", Some(("::1", Some(80)))),
        ("[::1]", Some(("::1", None))),
        ("user:pw@host:1", Some(("host", Some(1)))),
        ("host:notaport", Some(("host", None))),
        ("host:99999", Some(("host", None))),
        ("", None),
        (":80", None),
        ("[::1", None),
        ("ho st", None),
    ];
    for (authority, expected) in cases {
        let expected = expected.map(|(address, port)| Host { address: address.into(), port });
        // Once made, once from the table.
        assert_eq!(host(authority.as_bytes()), expected, "{authority:?}");
        assert_eq!(host(authority.as_bytes()), expected, "{authority:?}");
    }
    assert_eq!(host(b"\xff\xfe"), None);
}

#[test]
fn the_origin_of_a_url_has_the_port_of_its_scheme() {
    let cases = [
        ("https://sqs.example.com/0/orders", Some(("sqs.example.com", Some(443)))),
        ("http://sqs.example.com", Some(("sqs.example.com", Some(80)))),
        ("http://sqs.example.com:9324?a=b", Some(("sqs.example.com", Some(9324)))),
        ("https://user:pw@[::1]:9324/orders", Some(("::1", Some(9324)))),
        ("ftp://host/", Some(("host", None))),
        ("https:///orders", None),
        ("orders", None),
        ("", None),
    ];
    for (url, expected) in cases {
        let expected = expected.map(|(address, port)| Host { address: address.into(), port });
        // Once made, once from the table.
        assert_eq!(origin(url), expected, "{url:?}");
        assert_eq!(origin(url), expected, "{url:?}");
    }
}

#[test]
fn secrets_of_a_query_are_redacted() {
    assert_eq!(redact_query("a=1&b=2"), "a=1&b=2");
    assert_eq!(
        redact_query("sig=x&a=1&X-Amz-Signature=y&sig"),
        "sig=REDACTED&a=1&X-Amz-Signature=REDACTED&sig"
    );
    assert_eq!(redact_query("SIG=x&signature=y"), "SIG=x&signature=y", "keys are case-sensitive");
    assert_eq!(redact_query(""), "");
}

#[test]
fn secrets_of_a_url_are_redacted() {
    let cases = [
        ("http://host/a?b=c#d", "http://host/a?b=c#d"),
        ("http://user:pw@host/a", "http://REDACTED:REDACTED@host/a"),
        ("http://token@host", "http://REDACTED@host"),
        ("http://host/a@b?c=@", "http://host/a@b?c=@"),
        ("http://host?sig=1#sig=2", "http://host?sig=REDACTED#sig=2"),
        ("http://host#?sig=1", "http://host#?sig=1"),
        ("http://host?a=1&sig=#2", "http://host?a=1&sig=#2"),
        (
            "http://u:p@w@host/?AWSAccessKeyId=1",
            "http://REDACTED:REDACTED@host/?AWSAccessKeyId=REDACTED",
        ),
    ];
    for (url, redacted) in cases {
        assert_eq!(redact_url(url), redacted);
    }
}

#[test]
fn secrets_of_urls_in_a_text_are_redacted() {
    let cases = [
        ("no url here: a/b?sig=1", "no url here: a/b?sig=1"),
        ("://sig=1", "://sig=1"),
        ("url (https://h/?sig=1): timed out", "url (https://h/?sig=REDACTED): timed out"),
        ("a http://u@h b \"ftp://u:p@h\"", "a http://REDACTED@h b \"ftp://REDACTED:REDACTED@h\""),
        ("ende http://h/ä?sig=ü", "ende http://h/ä?sig=REDACTED"),
    ];
    for (text, redacted) in cases {
        assert_eq!(redact_text(text), redacted);
    }
}

#[test]
fn routes_name_spans_even_when_there_are_too_many() {
    let get = method(&Method::GET);
    for i in 0..10_000 {
        let path = format!("/made/up/{i}");
        let route = route(get, &path);
        assert_eq!(route.name, format!("GET {path}"));
        assert_eq!(route.route.as_str(), path);
    }
    // The same place in memory, another text.
    let mut path = String::from("/a");
    assert_eq!(route(get, &path).name, "GET /a");
    path.replace_range(.., "/b");
    assert_eq!(route(get, &path).name, "GET /b");
}

#[test]
fn a_password_that_could_end_a_sentence_is_redacted_whole() {
    for (text, wanted) in [
        ("(postgres://user:p)w@db/x) is away", "(postgres://REDACTED:REDACTED@db/x) is away"),
        ("'http://u:it's@host' failed", "'http://REDACTED:REDACTED@host' failed"),
        ("see (http://host/a) and mail a@b", "see (http://host/a) and mail a@b"),
    ] {
        assert_eq!(redact_text(text), wanted);
    }
}
