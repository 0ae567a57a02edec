#![no_main]
//! A file of spans as the Collector writes it, through the reader, the trees, the verdict and the
//! writer.

use libfuzzer_sys::fuzz_target;
use throughline_lineage::{Forest, Settings, otlp};

fuzz_target!(|data: &[u8]| {
    let Ok(spans) = otlp::read(data) else { return };
    let mut written = Vec::new();
    otlp::write(&mut written, &spans).expect("a Vec takes anything");
    let again = otlp::read(written.as_slice()).expect("what is written is read");
    assert_eq!(again.len(), spans.len());
    let forest = Forest::new(spans);
    for trace in forest.traces() {
        let _ = trace.to_string();
    }
    let _ = forest.judge(&Settings::complete()).to_string();
});
