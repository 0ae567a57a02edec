#![no_main]
//! One `traceparent`.

use libfuzzer_sys::fuzz_target;
use throughline_core::codec::traceparent::{parse, print};

fuzz_target!(|data: &[u8]| {
    if let Ok(parent) = parse(data) {
        let printed = print(&parent.into_span_context(Default::default()));
        assert!(throughline_fuzz::is_traceparent(printed.as_str()), "{}", printed.as_str());
        assert_eq!(parse(printed.as_str().as_bytes()), Ok(parent));
    }
});
