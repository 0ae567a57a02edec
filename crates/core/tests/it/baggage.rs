use opentelemetry::baggage::{Baggage, KeyValueMetadata};
use opentelemetry::{KeyValue, StringValue};
use proptest::prelude::*;
use throughline_core::codec::baggage::{MAX_BYTES, MAX_MEMBERS, parse, print};

use crate::grammar;

fn read(header: &str) -> Vec<(String, String, String)> {
    let baggage = parse([header.as_bytes()]).unwrap_or_default();
    let members = baggage.iter().map(|(key, (value, properties))| {
        (key.to_string(), value.to_string(), properties.as_str().to_owned())
    });
    let mut members: Vec<_> = members.collect();
    members.sort();
    members
}

fn member(key: &str, value: &str, properties: &str) -> (String, String, String) {
    (key.to_owned(), value.to_owned(), properties.to_owned())
}

#[test]
fn values_are_decoded_and_encoded() {
    assert_eq!(
        read("user=J%C3%BCrgen%20M%2C%3B,k=a==b"),
        [member("k", "a==b", ""), member("user", "Jürgen M,;", ""),]
    );
    let baggage: Baggage = [KeyValue::new("k", "100% \"Jürgen\",;\\\r\n")].into_iter().collect();
    assert_eq!(print(&baggage).as_deref(), Some("k=100%25%20%22J%C3%BCrgen%22%2C%3B%5C%0D%0A"));
}

#[test]
fn properties_pass_as_they_came_and_smuggle_nothing() {
    let header = "a=1;p=%2Cadmin%3Dtrue;q=x%0Ay";
    assert_eq!(read(header), [member("a", "1", "p=%2Cadmin%3Dtrue;q=x%0Ay")]);
    let printed = print(&parse([header.as_bytes()]).expect("valid"));
    assert_eq!(printed.as_deref(), Some(header));

    // Put in by a program, not by a header.
    let forged = KeyValueMetadata::new("a", "1", ",admin=true\r\nset-cookie: x");
    assert_eq!(print(&[forged].into_iter().collect()).as_deref(), Some("a=1"));
}

#[test]
fn headers_of_the_specification() {
    // section, header, what is sent on (in the order of its keys)
    let cases = [
        (
            "3.3.1",
            "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
            Some(
                "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue",
            ),
        ),
        (
            "3.3.2",
            "serverNode=DF%2028,userId=am%C3%A9lie,isProduction=false",
            Some("isProduction=false,serverNode=DF%2028,userId=am%C3%A9lie"),
        ),
        ("3.3.1.2", "key1=", Some("key1=")),
        (
            "3.3.1.3",
            "k=!#$%25&'()*+-./0:<=>?@A[]^_`a{|}~",
            Some("k=!#$%25&'()*%2B-./0:<=>?@A[]^_`a{|}~"),
        ),
        // An octet that need not be encoded is sent as itself,
        ("3.3.1.3", "k=%41%2f", Some("k=A/")),
        // but for the plus sign, which some take for a space.
        ("3.3.1.3", "k=a+b,l=+", Some("k=a%2Bb,l=%2B")),
        ("3.3.1.3", "k=a%2Bb%20c", Some("k=a%2Bb%20c")),
        ("3.3.1.4", "k=v;p = 1;;q;", Some("k=v;p = 1;q")),
        ("3.3.1.4", "k=v;p q", None),
        ("3.3.1.4", "k=v;=1", None),
        ("3.3.1", "k=v;p=\"1\"", None),
        ("3.3.1.4", "k=v;p=\u{e9}", None),
        ("3.3.1", "k\u{e9}=v", None),
        ("3.3.1", "", None),
    ];
    for (section, header, expected) in cases {
        let printed = parse([header.as_bytes()]).and_then(|baggage| print(&baggage));
        let printed = printed.map(|header| {
            let mut members: Vec<&str> = header.split(',').collect();
            members.sort_unstable();
            members.join(",")
        });
        assert_eq!(printed.as_deref(), expected, "{section}: {header:?}");
        assert!(printed.is_none_or(|header| grammar::is_baggage(&header)), "{section}: {header:?}");
    }
}

/// As the suite that comes with the specification sends them, with white space wherever it may be.
#[test]
fn headers_of_the_specifications_suite() {
    for (header, members) in [
        ("SomeKey=SomeValue", vec![member("SomeKey", "SomeValue", "")]),
        ("SomeKey \t = \t SomeValue \t ", vec![member("SomeKey", "SomeValue", "")]),
        (
            "SomeKey=SomeValue;SomeProp=SomePropValue",
            vec![member("SomeKey", "SomeValue", "SomeProp=SomePropValue")],
        ),
        (
            "SomeKey \t = \t SomeValue \t , \t SomeKey2 \t = \t SomeValue2 \t ",
            vec![member("SomeKey", "SomeValue", ""), member("SomeKey2", "SomeValue2", "")],
        ),
        ("SomeKey=equals=sign", vec![member("SomeKey", "equals=sign", "")]),
        (
            "SomeKey=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29",
            vec![member("SomeKey", "\t \"';=asdf!@#$%^&*()", "")],
        ),
    ] {
        assert_eq!(read(header), members, "{header}");
    }
}

#[test]
fn what_a_program_put_in_is_bounded_and_of_the_grammar() {
    let member = |key: &str, value: &str, properties: &str| {
        let member = KeyValueMetadata::new(key.to_owned(), value.to_owned(), properties);
        print(&[member].into_iter().collect())
    };
    assert_eq!(member("k", "v", "p q;ok").as_deref(), Some("k=v"));
    assert_eq!(member("k", "v", " p ; ;q = 1 ;").as_deref(), Some("k=v;p;q = 1"));
    // It grows when it is encoded: the whole member goes.
    assert!(member("k", &"\u{1}".repeat(MAX_BYTES / 3 + 1), "").is_none());
    let fits = member("k", &"\u{1}".repeat((MAX_BYTES - 2) / 3), "");
    assert!(fits.is_some_and(|header| header.len() <= MAX_BYTES));
}

#[test]
fn broken_members_are_left_out_and_the_others_stay() {
    assert_eq!(
        read("a=1,b,=2,c d=3,e=\u{7f},f=6 , g = 7 ,,h=\"8\""),
        [member("a", "1", ""), member("f", "6", ""), member("g", "7", ""),]
    );
}

#[test]
fn invalid_utf8_becomes_the_replacement_character() {
    assert_eq!(
        read("a=%FF%FE,b=x%C3"),
        [member("a", "\u{fffd}\u{fffd}", ""), member("b", "x\u{fffd}", ""),]
    );
    let baggage = parse([b"a=\xff".as_slice()]).expect("kept");
    assert_eq!(baggage.get("a").map(StringValue::as_str), Some("\u{fffd}"));
}

#[test]
fn several_headers_are_one_list() {
    let baggage = parse([b"a=1".as_slice(), b"b=2,a=3".as_slice()]).expect("valid");
    assert_eq!(baggage.get("a").map(StringValue::as_str), Some("3"));
    assert_eq!(baggage.len(), 2);
}

#[test]
fn both_ways_are_bounded() {
    let many = (0..10_000).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    assert_eq!(parse([many.as_bytes()]).map(|baggage| baggage.len()), Some(MAX_MEMBERS));

    let long = format!("a=1,b={},c=3", "x".repeat(MAX_BYTES));
    assert_eq!(read(&long), [member("a", "1", "")]);
    let commas = ",".repeat(1 << 20);
    assert!(parse([commas.as_bytes(), b"a=1"]).is_none());

    let baggage: Baggage =
        (0..MAX_MEMBERS).map(|i| KeyValue::new(format!("k{i}"), "%".repeat(100))).collect();
    let printed = print(&baggage).expect("not empty");
    assert!(printed.len() <= MAX_BYTES, "{} bytes", printed.len());
    assert!(printed.split(',').all(|member| member.ends_with("%25")), "only whole members");
}

#[test]
fn no_more_members_are_printed_than_are_read() {
    let mut baggage = Baggage::new();
    for i in 0..2 * MAX_MEMBERS {
        baggage.insert(format!("k{i}"), "v");
    }
    let printed = print(&baggage).expect("not empty");
    assert_eq!(printed.split(',').count(), MAX_MEMBERS);
}

#[test]
fn nothing_is_printed_as_nothing() {
    assert_eq!(print(&Baggage::new()), None);
    assert!(parse([b"".as_slice(), b" ,,"]).is_none());
}

proptest! {
    #[test]
    fn what_is_sent_on_is_of_the_grammar(
        header in "([a-z%=;, \t]{0,3}[ -~]{0,3}=[ -~]{0,9}(;[ -~]{0,9}){0,2},){0,80}",
    ) {
        if let Some(printed) = parse([header.as_bytes()]).and_then(|baggage| print(&baggage)) {
            prop_assert!(grammar::is_baggage(&printed), "{printed:?}");
        }
    }

    /// Most members are read in one pass, those with a blank at their end never.
    #[test]
    fn what_is_read_in_one_pass_is_what_is_read_in_steps(header in "([a-z%=(]{0,3}=?[ -~]{0,4},){0,5}") {
        let padded: Vec<_> = header.split(',').map(|member| format!("{member} ")).collect();
        prop_assert_eq!(read(&header), read(&padded.join(",")));
    }

    #[test]
    fn whatever_a_program_puts_in_is_of_the_grammar(
        members in proptest::collection::vec(any::<(String, String, String)>(), 0..9),
    ) {
        let members = members.into_iter().map(|(k, v, p)| KeyValueMetadata::new(k, v, p.as_str()));
        if let Some(printed) = print(&members.collect()) {
            prop_assert!(grammar::is_baggage(&printed), "{printed:?}");
        }
    }

    #[test]
    fn no_input_panics(header in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse([header.as_slice()]);
    }

    #[test]
    fn what_is_printed_is_read(value in any::<String>(), key in "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}") {
        let baggage: Baggage = [KeyValue::new(key.clone(), value.clone())].into_iter().collect();
        if let Some(printed) = print(&baggage) {
            prop_assert!(grammar::is_baggage(&printed), "{printed:?}");
            let back = parse([printed.as_bytes()]).expect("what we print is valid");
            let back = back.get(&key).map(ToString::to_string);
            prop_assert_eq!(back, Some(value));
        }
    }
}
