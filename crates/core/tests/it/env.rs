//! The environment as a carrier, by the OpenTelemetry specification, "Environment Variables as
//! Context Propagation Carriers".

use std::ffi::OsString;

use opentelemetry::StringValue;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt;
use proptest::prelude::*;
use throughline_core::carrier::{EnvCarrier, ReadCarrier, env_key};
use throughline_core::codec::Malformed;
use throughline_core::{Config, Format, Formats, Outcome, W3cPropagator};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn variables(pairs: &[(&str, &str)]) -> EnvCarrier {
    EnvCarrier::new(pairs.iter().map(|(key, value)| (OsString::from(key), OsString::from(value))))
}

#[test]
fn a_key_is_upper_case_and_nothing_but_letters_digits_and_underscores() {
    // "Key Name Normalization"
    for (name, key) in [
        ("traceparent", "TRACEPARENT"),
        ("tracestate", "TRACESTATE"),
        ("baggage", "BAGGAGE"),
        ("TraceParent", "TRACEPARENT"),
        ("x-b3-traceid", "X_B3_TRACEID"),
        ("x-amzn-trace-id", "X_AMZN_TRACE_ID"),
        ("already_normal_1", "ALREADY_NORMAL_1"),
        ("a.b c/d", "A_B_C_D"),
        ("3scale", "_3SCALE"),
        ("_3scale", "_3SCALE"),
        ("stra\u{df}e", "STRA_E"),
        ("", ""),
    ] {
        assert_eq!(env_key(name), key, "{name:?}");
    }
}

#[test]
fn a_context_is_read_from_the_variables_of_its_headers() {
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    let extraction = config.extract(&variables(&[
        ("PATH", "/bin"),
        ("TRACEPARENT", TRACEPARENT),
        ("TRACESTATE", "ot=th:8"),
        ("BAGGAGE", "tenant=acme"),
    ]));
    assert_eq!(extraction.outcome(), Outcome::Continued);
    let context = extraction.context();
    assert_eq!(context.span().span_context().trace_state().header(), "ot=th:8");
    assert_eq!(context.baggage().len(), 1);

    // Only what is normal is a key: shells pass the others on from somewhere else.
    let lower = config.extract(&variables(&[("traceparent", TRACEPARENT)]));
    assert_eq!(lower.outcome(), Outcome::Absent);
    let twice = variables(&[("TRACEPARENT", TRACEPARENT), ("TRACEPARENT", TRACEPARENT)]);
    assert_eq!(config.extract(&twice).outcome(), Outcome::Malformed(Malformed::Doubled));
    assert_eq!(
        config.extract(&variables(&[("TRACEPARENT", "")])).outcome(),
        Outcome::Malformed(Malformed::Length)
    );
}

#[test]
fn other_formats_have_variables_too() {
    let config = Config::new("test", "1");
    let config = config.with_propagator(Formats::new([Format::B3, Format::XRay]));
    for pairs in [
        vec![("X_B3_TRACEID", "64fe8b2a57d3eff7"), ("X_B3_SPANID", "e457b5a2e4d86bd1")],
        vec![("B3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1")],
        vec![(
            "X_AMZN_TRACE_ID",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        )],
    ] {
        assert_eq!(config.extract(&variables(&pairs)).outcome(), Outcome::Continued, "{pairs:?}");
    }
}

#[test]
fn no_value_is_shown() {
    let shown = format!("{:?}", variables(&[("AWS_SECRET_ACCESS_KEY", "sesame")]));
    assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn the_environment_of_this_process_is_one() {
    let process = EnvCarrier::of_process();
    assert!(process.names().contains(&"PATH"), "{process:?}");
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_read_or_left_out() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let carrier = EnvCarrier::new([
        (bytes(b"\xff"), bytes(b"1")),
        (bytes(b"BAGGAGE"), bytes(b"a=\xff")),
        (bytes(b"TRACEPARENT"), bytes(b"\xff\xfe")),
    ]);
    assert_eq!(carrier.names(), ["BAGGAGE", "TRACEPARENT"]);
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    let extraction = config.extract(&carrier);
    assert_eq!(extraction.outcome(), Outcome::Malformed(Malformed::Length));
    assert_eq!(extraction.context().baggage().get("a").map(StringValue::as_str), Some("\u{fffd}"));
}

proptest! {
    #[test]
    fn every_key_is_a_name_a_shell_takes(name in any::<String>()) {
        let key = env_key(&name);
        prop_assert!(!key.starts_with(|c: char| c.is_ascii_digit()));
        prop_assert!(key.chars().all(|c| matches!(c, 'A'..='Z' | '0'..='9' | '_')), "{key:?}");
        prop_assert_eq!(env_key(&key), key);
    }

    #[test]
    fn every_header_is_found_by_its_key(name in "[a-z0-9][a-z0-9._-]{0,12}") {
        let header = http::HeaderName::try_from(&name).expect("a header name");
        let carrier = variables(&[(&env_key(&name), "x")]);
        let mut found = 0;
        carrier.visit(&header, |_| found += 1);
        prop_assert_eq!(found, 1);
    }
}

#[test]
fn propagators_of_others_read_it_too() {
    let variables = [("TRACEPARENT", "00-1"), ("X_B3_TRACEID", "7"), ("PATH", "/bin")];
    let variables = variables.map(|(key, value)| (key.into(), value.into()));
    let carrier = EnvCarrier::new(variables);
    let extractor: &dyn Extractor = &carrier;
    assert_eq!(extractor.get("traceparent"), Some("00-1"));
    assert_eq!(extractor.get("x-b3-traceid"), Some("7"));
    assert_eq!(extractor.get("absent"), None);
    assert_eq!(extractor.keys().len(), 3);
}
