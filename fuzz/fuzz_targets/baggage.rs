#![no_main]
//! Several `baggage` headers, one a line.

use libfuzzer_sys::fuzz_target;
use throughline_core::codec::baggage::{MAX_MEMBERS, parse, print};

fuzz_target!(|data: &[u8]| {
    let Some(baggage) = parse(throughline_fuzz::lines(data)) else { return };
    assert!(baggage.len() <= MAX_MEMBERS);
    // A value of U+FFFDs may be too long once it is encoded.
    let Some(once) = print(&baggage) else { return };
    assert!(throughline_fuzz::is_baggage(&once), "{once:?}");
    let again = parse([once.as_bytes()]).expect("what is printed is valid");
    assert_eq!(again.len(), once.split(',').count());
    for (key, (value, properties)) in &again {
        let (first, held) = baggage.get_with_metadata(key).expect("nothing is added");
        assert_eq!(value, first);
        assert!(properties.as_str().len() <= held.as_str().len());
    }
});
