//! What a whole process shares, in a process of its own: the counts, the names, the environment.

use std::borrow::Cow;
use std::process::Command;

use http::Method;
use opentelemetry::Context;
use throughline_core::codec::traceparent::Malformed;
use throughline_core::http::{method, route};
use throughline_core::{Config, Outcomes, Trust, W3cPropagator, outcomes};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Headers = Vec<(String, String)>;

fn headers(values: &[&str]) -> Headers {
    values.iter().map(|value| ("traceparent".to_owned(), (*value).to_owned())).collect()
}

/// The only test of this binary that extracts or injects.
#[test]
fn each_outcome_is_counted_as_what_it_is() {
    let mut expected = Outcomes::default();
    assert_eq!(outcomes(), expected);
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    let came = headers(&[TRACEPARENT]);

    let continued = config.extract(&came);
    expected.continued = 1;
    assert_eq!(outcomes(), expected);

    drop(config.extract(&headers(&[])));
    expected.absent = 1;
    assert_eq!(outcomes(), expected);

    // What is only linked to counts as well.
    let linked = |headers: &_| config.extract_link(headers).link().is_some();
    assert!(linked(&came) && !linked(&headers(&[])));
    // Not once more for a further try.
    assert!(config.extract_link_again(&came).link().is_some());
    (expected.continued, expected.absent) = (2, 2);
    assert_eq!(outcomes(), expected);
    // And what is only looked at doesn't.
    assert!(config.peek(&came).is_some());
    assert_eq!(outcomes(), expected);

    drop(config.clone().trust(Trust::Link).extract(&came));
    expected.untrusted = 1;
    assert_eq!(outcomes(), expected);
    drop(config.clone().trust(Trust::Ignore).extract(&came));
    expected.untrusted = 2;
    assert_eq!(outcomes(), expected);

    config.inject(continued.context(), &mut Headers::new());
    expected.injected = 1;
    assert_eq!(outcomes(), expected);

    config.inject(&Context::new(), &mut Headers::new());
    expected.nothing_to_inject = 1;
    assert_eq!(outcomes(), expected);

    let lost = config.inject_fitting(continued.context(), Headers::new(), |_| false);
    expected.no_room = 1;
    assert_eq!((lost, outcomes()), (false, expected.clone()));
    let goes = config.inject_fitting(continued.context(), Headers::new(), |it| !it.is_empty());
    expected.injected = 2;
    assert_eq!((goes, outcomes()), (true, expected.clone()));

    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let none = |text: &str| "0".repeat(text.len());
    for (reason, values) in [
        (Malformed::Doubled, vec![TRACEPARENT.to_owned(), TRACEPARENT.to_owned()]),
        (Malformed::Length, vec!["00-broken".to_owned()]),
        (Malformed::Version, vec![format!("ff-{trace}-{span}-01")]),
        (Malformed::Delimiter, vec![format!("00_{trace}-{span}-01")]),
        (Malformed::TraceId, vec![format!("00-{}-{span}-01", none(trace))]),
        (Malformed::SpanId, vec![format!("00-{trace}-{}-01", none(span))]),
        (Malformed::Flags, vec![format!("00-{trace}-{span}-0x")]),
    ] {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        drop(config.extract(&headers(&values)));
        expected.malformed.push((reason, 1));
        assert_eq!(outcomes(), expected, "{values:?}");
    }
    drop(config.extract(&headers(&["00-broken"])));
    expected.malformed[1].1 = 2;
    assert_eq!(outcomes(), expected);
}

/// The only test of this binary that names routes.
#[test]
fn names_of_routes_are_kept_up_to_a_bound() {
    let get = method(&Method::GET);
    let names: Vec<_> = (0..10_000).map(|i| format!("/orders/{i}")).collect();
    let is_kept: Vec<_> = names
        .iter()
        .map(|path| {
            let name = route(get, path).name;
            assert_eq!(name, format!("GET {path}"));
            matches!(name, Cow::Borrowed(_))
        })
        .collect();
    let kept = is_kept.iter().take_while(|kept| **kept).count();
    assert!((1_000..=4_096).contains(&kept), "{kept} are kept");
    assert!(!is_kept[kept..].contains(&true), "more are kept after the bound was reached");

    // Those that are kept still serve, from wherever the route comes.
    let (first, again) = (route(get, &names[0]).name, route(get, &names[0].clone()).name);
    let (Cow::Borrowed(first), Cow::Borrowed(again)) = (first, again) else { panic!("not kept") };
    assert!(std::ptr::eq(first, again), "one name is kept twice");
}

#[test]
fn the_known_methods_are_those_of_the_environment() {
    const LIST: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
    const CHILD: &str = "THROUGHLINE_TEST_EXPECTED_METHODS";
    if let Ok(expected) = std::env::var(CHILD) {
        let named = ["GET", "get", "POST", "BREW"].map(|text| {
            let method = method(&text.parse().expect("a method"));
            format!("{}/{}", method.attribute, method.name)
        });
        assert_eq!(named.join(" "), expected);
        return;
    }
    for (list, expected) in [
        ("GET, BREW ,,", "GET/GET _OTHER/HTTP _OTHER/HTTP BREW/BREW"),
        ("get", "_OTHER/HTTP get/get _OTHER/HTTP _OTHER/HTTP"),
        (" , ", "GET/GET _OTHER/HTTP POST/POST _OTHER/HTTP"),
    ] {
        let this = std::env::current_exe().expect("a path");
        let child = Command::new(this)
            .args(["--exact", "the_known_methods_are_those_of_the_environment"])
            .env(LIST, list)
            .env(CHILD, expected)
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{list:?}: {said}");
    }
}
