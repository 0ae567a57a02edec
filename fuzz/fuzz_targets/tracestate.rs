#![no_main]
//! Several `tracestate` headers, one a line.

use libfuzzer_sys::fuzz_target;
use throughline_core::codec::tracestate::{MAX_BYTES, parse, print};

fuzz_target!(|data: &[u8]| {
    let Some(parsed) = parse(throughline_fuzz::lines(data)) else { return };
    let once = print(&parsed.held, parsed.unheld.as_deref()).expect("there is a member");
    assert!(throughline_fuzz::is_tracestate(&once), "{once:?}");
    assert!(once.len() <= MAX_BYTES);
    let again = parse([once.as_bytes()]).expect("what is printed is valid");
    assert_eq!(print(&again.held, again.unheld.as_deref()), Some(once));
});
