#![no_main]
//! A single header, then trace id, span id, decision and flags of the several: one a line.

use libfuzzer_sys::fuzz_target;
use throughline_core::codec::b3::{Multi, parse_multi, parse_single, print_single};

fuzz_target!(|data: &[u8]| {
    let mut lines = throughline_fuzz::lines(data);
    let single = lines.next().map(parse_single);
    let mut next = || lines.next().filter(|line| !line.is_empty());
    let multi = Multi { trace_id: next(), span_id: next(), sampled: next(), flags: next() };
    let found = [single.and_then(Result::ok), parse_multi(multi).ok().flatten()];
    for b3 in found.into_iter().flatten() {
        let Some(context) = b3.span_context() else { continue };
        let printed = print_single(&context, Some(b3.sampling));
        assert!(throughline_fuzz::is_b3(printed.as_str()), "{}", printed.as_str());
        assert_eq!(parse_single(printed.as_str().as_bytes()), Ok(b3));
    }
});
