use opentelemetry::trace::TraceState;
use proptest::prelude::*;
use throughline_core::codec::tracestate::{MAX_BYTES, MAX_MEMBERS, parse, print};

use crate::grammar;

fn round_trip(headers: &[&str]) -> Option<String> {
    let parsed = parse(headers.iter().map(|header| header.as_bytes()))?;
    print(&parsed.held, parsed.unheld.as_deref())
}

#[track_caller]
fn kept(header: &str) {
    assert_eq!(round_trip(&[header]).as_deref(), Some(header));
}

#[test]
fn members_are_kept_in_order() {
    kept("foo=1,bar=2");
    // Of the specification, sections 3.3.1.4, 3.4 and 4.
    kept("vendorname1=opaqueValue1,vendorname2=opaqueValue2");
    kept("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    kept("congo=ucfJifl5GOE,rojo=00f067aa0ba902b7");
    kept("rojo=00f067aa0ba902b7");
    kept("ot=th:c8;rv:9b8233f7e3a151,vendor@sys=a b");
}

#[test]
fn several_headers_are_one_list() {
    assert_eq!(
        round_trip(&["foo=1,", ",bar=2", "", "baz=3"]).as_deref(),
        Some("foo=1,bar=2,baz=3")
    );
}

#[test]
fn white_space_around_members_is_nothing() {
    assert_eq!(
        round_trip(&["foo=1 \t , \t bar=2, \t baz=3\t"]).as_deref(),
        Some("foo=1,bar=2,baz=3")
    );
}

#[test]
fn keys_of_level_2_are_kept_though_opentelemetry_refuses_them() {
    kept("foo@=1,bar=2");
    kept("foo@@bar=1,bar@foo=2");
    kept("a-very-long-tenant-name@and-a-long-system-name-as-well=1");
    kept("@=1".replace('@', "0@").as_str());
}

#[test]
fn what_opentelemetry_refuses_follows_what_a_sampler_changed() {
    let parsed = parse([b"foo@@bar=1,ot=th:0,b=2".as_slice()]).expect("valid");
    let changed = parsed.held.insert("ot", "th:8").expect("valid");
    let printed = print(&changed, parsed.unheld.as_deref());
    assert_eq!(printed.as_deref(), Some("ot=th:8,foo@@bar=1,b=2"));
}

#[test]
fn one_broken_member_discards_the_list() {
    for header in [
        "foo",
        "foo=",
        "=1",
        "foo=1=2",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "_foo=1",
        "@foo=1",
        "foo=\u{7f}",
        "foo=1\u{0}",
        "fo\u{e9}=1",
        "bar=2,foo",
        "bar=2,foo=,baz=3",
    ] {
        assert_eq!(round_trip(&[header]), None, "{header:?}");
    }
}

#[test]
fn keys_and_values_have_at_most_256_bytes() {
    let long = "z".repeat(256);
    kept(&format!("{long}=1"));
    kept(&format!("foo={long}"));
    assert_eq!(round_trip(&[&format!("{long}z=1")]), None);
    assert_eq!(round_trip(&[&format!("foo={long}z")]), None);
}

#[test]
fn more_than_32_members_are_none() {
    let list = |count: usize| (0..count).map(|i| format!("k{i}={i}")).collect::<Vec<_>>().join(",");
    kept(&list(MAX_MEMBERS));
    assert_eq!(round_trip(&[&list(MAX_MEMBERS + 1)]), None);
}

#[test]
fn there_are_bounds_in_bytes() {
    // Section 3.3.1.5: 512 bytes at the least, all of them ours to keep.
    let list = |count: usize, length: usize| {
        let member = |i: usize| format!("k{i:02}={}", "v".repeat(length - 4));
        (0..count).map(member).collect::<Vec<_>>().join(",")
    };
    kept(&list(4, 127));
    kept(&list(32, 127));

    // Members longer than 128 bytes go first, from the end, then others: whole ones.
    let long = list(32, 200);
    let left = round_trip(&[&long]).expect("not all");
    assert!(left.len() <= MAX_BYTES && left.len() > MAX_BYTES - 201, "{}", left.len());
    assert!(long.starts_with(&left));
    let mixed = format!("a={},ot=th:8;rv:9b8233f7e3a151,{}", "x".repeat(256), list(30, 250));
    let left = round_trip(&[&mixed]).expect("not all");
    assert!(left.len() <= MAX_BYTES && left.contains(",ot=th:8;rv:9b8233f7e3a151,"), "{left}");

    let short = list(31, 128);
    let left = round_trip(&[&format!("z={},{short}", "v".repeat(250))]);
    assert_eq!(left.as_deref(), Some(short.as_str()));
}

#[test]
fn nothing_is_printed_as_nothing() {
    assert_eq!(print(&TraceState::NONE, None), None);
    assert_eq!(round_trip(&[",, ,"]), None);
}

#[test]
fn what_a_program_put_in_unchecked_cannot_split_the_header() {
    let state = TraceState::from_key_value([("good", "1"), ("bad", "1\r\nx: y"), ("", "2")]);
    assert_eq!(print(&state.expect("OpenTelemetry takes it"), None).as_deref(), Some("good=1"));
}

proptest! {
    #[test]
    fn no_input_panics(header in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse([header.as_slice()]);
    }

    #[test]
    fn printing_is_a_fixed_point(header in "([a-z0-9][a-z0-9_@*/-]{0,6}=[ -~]{1,4},?){0,40}") {
        if let Some(once) = round_trip(&[&header]) {
            prop_assert!(grammar::is_tracestate(&once), "{once:?}");
            let twice = round_trip(&[&once]);
            prop_assert_eq!(twice.as_deref(), Some(once.as_str()));
        }
    }
}
