#![no_main]
//! One X-Ray header.

use libfuzzer_sys::fuzz_target;
use throughline_core::codec::xray::{parse, print};

fuzz_target!(|data: &[u8]| {
    let Ok(xray) = parse(data) else { return };
    let Some(context) = xray.span_context() else { return };
    let printed = print(&context, Some(xray.sampling), xray.lineage);
    assert!(throughline_fuzz::is_xray(&printed), "{printed:?}");
    assert_eq!(parse(printed.as_bytes()), Ok(xray));
});
