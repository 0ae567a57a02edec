//! Baggage as the code of a service uses it.

use opentelemetry::Context;
use throughline_core::baggage::{self, BaggageError};
use throughline_core::{Config, W3cPropagator};

fn header(context: &Context) -> Option<String> {
    let mut carrier = Vec::<(String, String)>::new();
    Config::new("test", "0").with_propagator(W3cPropagator::new()).inject(context, &mut carrier);
    carrier.into_iter().find(|(name, _)| name == "baggage").map(|(_, value)| value)
}

#[test]
fn what_is_set_is_read_below_and_goes_along() {
    assert_eq!(baggage::get("tenant"), None);
    {
        let _tenant = baggage::set("tenant", "acme & co").expect("room").attach();
        let _plan = baggage::set("plan", "free").expect("room").attach();
        assert_eq!(baggage::get("tenant").as_deref(), Some("acme & co"));
        let mut all = baggage::all();
        all.sort_unstable();
        assert_eq!(
            all,
            [("plan", "free"), ("tenant", "acme & co")].map(|(k, v)| (k.into(), v.into()))
        );
        let only = baggage::remove("plan");
        assert_eq!(header(&only).as_deref(), Some("tenant=acme%20&%20co"));
        let _other = baggage::set("tenant", "other").expect("room").attach();
        assert_eq!(baggage::get("tenant").as_deref(), Some("other"));
        assert_eq!(baggage::get("plan").as_deref(), Some("free"));
    }
    assert!(baggage::all().is_empty(), "nothing is left behind on the thread");
}

#[test]
fn properties_of_others_stay() {
    let came = [("baggage", "theirs=1;secret=no,ours=2")];
    let config = Config::new("test", "0").with_propagator(W3cPropagator::new());
    let _came = config.extract(&came.to_vec()).context().clone().attach();
    let with = baggage::set("ours", "3").expect("room");
    let header = header(&with).expect("baggage");
    let mut members: Vec<_> = header.split(',').collect();
    members.sort_unstable();
    assert_eq!(members, ["ours=3", "theirs=1;secret=no"]);
}

#[test]
fn what_would_not_travel_is_an_error_that_says_why_and_tells_no_value() {
    for key in ["", "with space", "comma,", "caf\u{e9}"] {
        assert_eq!(baggage::set(key, "1").expect_err("no key"), BaggageError::Key(key.to_owned()));
    }
    let error = baggage::set("large", "x".repeat(8_192)).expect_err("too long");
    let wanted = BaggageError::TooLong { key: "large".to_owned(), bytes: 8_198 };
    assert_eq!(error, wanted);
    // As it travels, a space is three bytes.
    let error = baggage::set("large", " ".repeat(3_000)).expect_err("too long");
    assert_eq!(error, BaggageError::TooLong { key: "large".to_owned(), bytes: 9_006 });
    assert!(!error.to_string().contains("%20"), "{error}");

    let mut attached = Vec::new();
    for number in 0..64 {
        attached.push(baggage::set(&format!("k{number}"), "v").expect("room").attach());
    }
    assert_eq!(baggage::set("one-more", "v").expect_err("full"), BaggageError::TooMany);
    baggage::set("k7", "again").expect("in the place of another");
    while attached.pop().is_some() {}
}
