//! B3, by <https://github.com/openzipkin/b3-propagation> and the OpenTelemetry specification,
//! "B3 Requirements" of the Propagators API.

use opentelemetry::trace::{SpanId, TraceId};
use proptest::prelude::*;
use throughline_core::codec::b3::{B3, Multi, parse_multi, parse_single, print_single};
use throughline_core::codec::{Malformed, Sampling};

use crate::grammar;

const TRACE: u128 = 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7;
const SPAN: u64 = 0xe457_b5a2_e4d8_6bd1;

fn b3(trace: u128, sampling: Sampling) -> B3 {
    B3 { ids: Some((TraceId::from(trace), SpanId::from(SPAN))), sampling }
}

#[test]
fn a_single_header() {
    let long = |sampling| Ok(b3(TRACE, sampling));
    let alone = |sampling| Ok(B3 { ids: None, sampling });
    let cases = [
        // "Single Header"
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
            long(Sampling::Accepted),
        ),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", long(Sampling::Accepted)),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0", long(Sampling::Denied)),
        // "Sampling State": defer, debug
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1", long(Sampling::Deferred)),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d", long(Sampling::Debug)),
        // "Sampling State": a decision alone
        ("0", alone(Sampling::Denied)),
        ("1", alone(Sampling::Accepted)),
        ("d", alone(Sampling::Debug)),
        // "TraceId": 64 bits, which OpenTelemetry pads on the left
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1", Ok(b3(0x64fe_8b2a_57d3_eff7, Sampling::Accepted))),
        (" 64fe8b2a57d3eff7-e457b5a2e4d86bd1\t", Ok(b3(0x64fe_8b2a_57d3_eff7, Sampling::Deferred))),
        // A root whose parent is written as none
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-0000000000000000",
            long(Sampling::Accepted),
        ),
        // What isn't in the grammar
        ("", Err(Malformed::Delimiter)),
        ("-", Err(Malformed::Flags)),
        ("x", Err(Malformed::Flags)),
        ("D", Err(Malformed::Flags)),
        ("true", Err(Malformed::Delimiter)),
        ("80f198ee56343ba864fe8b2a57d3eff7", Err(Malformed::Delimiter)),
        ("80F198EE56343BA864FE8B2A57D3EFF7-e457b5a2e4d86bd1-1", Err(Malformed::TraceId)),
        ("80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1", Err(Malformed::TraceId)),
        ("00000000000000000000000000000000-e457b5a2e4d86bd1-1", Err(Malformed::TraceId)),
        ("0000000000000000-e457b5a2e4d86bd1-1", Err(Malformed::TraceId)),
        ("64fe8b2a57d3eff7-E457B5A2E4D86BD1-1", Err(Malformed::SpanId)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd-1", Err(Malformed::SpanId)),
        ("64fe8b2a57d3eff7-0000000000000000-1", Err(Malformed::SpanId)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-", Err(Malformed::Flags)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-2", Err(Malformed::Flags)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-true", Err(Malformed::Flags)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-", Err(Malformed::SpanId)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05E3AC9A4F6E3B90", Err(Malformed::SpanId)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1", Err(Malformed::Length)),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90x",
            Err(Malformed::Length),
        ),
    ];
    for (header, expected) in cases {
        assert_eq!(parse_single(header.as_bytes()), expected, "{header:?}");
    }
}

#[test]
fn several_headers() {
    const T: Option<&str> = Some("80f198ee56343ba864fe8b2a57d3eff7");
    const S: Option<&str> = Some("e457b5a2e4d86bd1");
    let with = |sampling| Ok(Some(b3(TRACE, sampling)));
    let alone = |sampling| Ok(Some(B3 { ids: None, sampling }));
    // trace id, span id, sampled, flags: "Multiple Headers"
    let cases = [
        (T, S, Some("1"), None, with(Sampling::Accepted)),
        (T, S, Some("0"), None, with(Sampling::Denied)),
        (T, S, None, None, with(Sampling::Deferred)),
        // "Debug Flag": it implies the decision
        (T, S, None, Some("1"), with(Sampling::Debug)),
        (T, S, Some("0"), Some("1"), with(Sampling::Debug)),
        (T, S, Some("1"), Some("0"), with(Sampling::Accepted)),
        // "Sampled": what came before the specification
        (T, S, Some("true"), None, with(Sampling::Accepted)),
        (T, S, Some("True"), None, with(Sampling::Accepted)),
        (T, S, Some("false"), None, with(Sampling::Denied)),
        (T, S, Some("d"), None, Err(Malformed::Flags)),
        (T, S, Some(""), None, Err(Malformed::Flags)),
        // A decision alone
        (None, None, Some("0"), None, alone(Sampling::Denied)),
        (None, None, None, Some("1"), alone(Sampling::Debug)),
        (None, None, None, None, Ok(None)),
        (None, None, None, Some("0"), Ok(None)),
        // Ids come in pairs
        (T, None, Some("1"), None, Err(Malformed::SpanId)),
        (None, S, Some("1"), None, Err(Malformed::TraceId)),
        (Some("80F198EE56343BA864FE8B2A57D3EFF7"), S, None, None, Err(Malformed::TraceId)),
        (Some("0"), S, None, None, Err(Malformed::TraceId)),
    ];
    for (trace, span, sampled, flags, expected) in cases {
        let headers = Multi {
            trace_id: trace.map(str::as_bytes),
            span_id: span.map(str::as_bytes),
            sampled: sampled.map(str::as_bytes),
            flags: flags.map(str::as_bytes),
        };
        assert_eq!(parse_multi(headers), expected, "{trace:?} {span:?} {sampled:?} {flags:?}");
    }
    let short = Multi {
        trace_id: Some(b"64fe8b2a57d3eff7"),
        span_id: Some(b"e457b5a2e4d86bd1"),
        ..Multi::default()
    };
    let padded = b3(0x64fe_8b2a_57d3_eff7, Sampling::Deferred);
    assert_eq!(parse_multi(short), Ok(Some(padded)));
}

proptest! {
    #[test]
    fn no_input_panics(header in proptest::collection::vec(any::<u8>(), 0..90)) {
        let _ = parse_single(&header);
        let part = |from: usize, to: usize| header.get(from..to);
        let several = Multi {
            trace_id: part(0, 32),
            span_id: part(32, 48),
            sampled: part(48, 49),
            flags: part(49, 50),
        };
        let _ = parse_multi(several);
    }

    #[test]
    fn nearly_valid_input_does_not_panic(place in 0usize..68, byte in any::<u8>(), cut in 0usize..70) {
        let mut header = b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90".to_vec();
        header[place] = byte;
        header.truncate(cut);
        let _ = parse_single(&header);
    }

    #[test]
    fn what_is_printed_is_read(
        trace in 1u128..,
        span in 1u64..,
        sampling in prop::sample::select(vec![
            Sampling::Deferred, Sampling::Denied, Sampling::Accepted, Sampling::Debug,
        ]),
    ) {
        let ids = (TraceId::from(trace), SpanId::from(span));
        let sent = B3 { ids: Some(ids), sampling };
        let context = sent.span_context().expect("it has ids");
        let printed = print_single(&context, Some(sampling));
        prop_assert!(grammar::is_b3(printed.as_str()), "{}", printed.as_str());
        prop_assert_eq!(parse_single(printed.as_str().as_bytes()), Ok(sent));

        let several = Multi {
            trace_id: Some(printed.trace_id().as_bytes()),
            span_id: Some(printed.span_id().as_bytes()),
            ..Multi::default()
        };
        prop_assert_eq!(parse_multi(several).expect("valid").expect("something").ids, Some(ids));
    }
}
