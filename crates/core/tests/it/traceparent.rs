use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use proptest::prelude::*;
use throughline_core::codec::traceparent::{Malformed, parse, print};

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn context(trace: u128, span: u64, flags: u8) -> SpanContext {
    let flags = TraceFlags::new(flags);
    SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, true, TraceState::NONE)
}

#[test]
fn a_valid_header_is_read() {
    let parent = parse(VALID.as_bytes()).expect("valid");
    assert_eq!(parent.trace_id, TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c));
    assert_eq!(parent.span_id, SpanId::from(0xb7ad_6b71_6920_3331));
    assert_eq!(parent.flags, TraceFlags::SAMPLED);
}

#[test]
fn each_fault_has_its_name() {
    let cases = [
        ("", Malformed::Length),
        ("00-1-2-01", Malformed::Length),
        (&VALID[..54], Malformed::Length),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", Malformed::Length),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", Malformed::Length),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", Malformed::Length),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed::Version),
        ("FE-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed::Version),
        (".0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed::Version),
        ("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed::Delimiter),
        ("00-0af7651916cd43dd8448eb211c80319c+b7ad6b7169203331-01", Malformed::Delimiter),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01", Malformed::Delimiter),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", Malformed::TraceId),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", Malformed::TraceId),
        ("00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed::TraceId),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", Malformed::SpanId),
        ("00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01", Malformed::SpanId),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.1", Malformed::Flags),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1", Malformed::Flags),
    ];
    for (header, fault) in cases {
        assert_eq!(parse(header.as_bytes()), Err(fault), "{header:?}");
    }
}

#[test]
fn a_later_version_is_read_by_its_first_55_bytes() {
    for tail in ["", "-", "-what.the-future-brings"] {
        let header = format!("cc{}{tail}", &VALID[2..]);
        assert_eq!(parse(header.as_bytes()), parse(VALID.as_bytes()), "{header:?}");
    }
}

#[test]
fn the_random_flag_survives_and_reserved_ones_do_not() {
    for (flags, kept) in [("02", 2), ("03", 3), ("ff", 3), ("fc", 0), ("09", 1)] {
        let header = format!("{}{flags}", &VALID[..53]);
        assert_eq!(parse(header.as_bytes()).map(|parent| parent.flags), Ok(TraceFlags::new(kept)));
    }
}

#[test]
fn white_space_around_is_nothing() {
    let header = format!(" \t{VALID}\t ");
    assert_eq!(parse(header.as_bytes()), parse(VALID.as_bytes()));
}

/// Every byte at every place: only lower-case hex digits and dashes where they belong.
#[test]
fn every_byte_at_every_place() {
    for place in 0..VALID.len() {
        for byte in 0..=255u8 {
            let mut header = VALID.as_bytes().to_vec();
            header[place] = byte;
            let is_allowed = match place {
                2 | 35 | 52 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            };
            // Trimming would make the header shorter, which is refused as well.
            assert_eq!(parse(&header).is_ok(), is_allowed, "byte {byte} at {place}");
        }
    }
}

/// Sections 3.2.3 and 3.2.4 of the specification.
#[test]
fn headers_of_the_specification() {
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128;
    for (header, flags) in [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", 0),
    ] {
        let parent = parse(header.as_bytes()).expect("valid");
        assert_eq!(parent.trace_id.to_bytes(), trace.to_be_bytes());
        assert_eq!(parent.span_id.to_bytes(), 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert_eq!(parent.flags.to_u8(), flags);
        assert_eq!(print(&parent.into_span_context(TraceState::NONE)).as_str(), header);
    }
}

proptest! {
    #[test]
    fn no_input_panics(header in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&header);
    }

    #[test]
    fn nearly_valid_input_does_not_panic(place in 0usize..55, byte in any::<u8>(), cut in 0usize..60) {
        let mut header = VALID.as_bytes().to_vec();
        header[place] = byte;
        header.truncate(cut);
        let _ = parse(&header);
    }

    #[test]
    fn what_is_printed_is_read(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
        let context = context(trace, span, flags);
        let printed = print(&context);
        prop_assert!(crate::grammar::is_traceparent(printed.as_str()), "{}", printed.as_str());
        let parent = parse(printed.as_str().as_bytes()).expect("what we print is valid");
        prop_assert_eq!(parent.into_span_context(TraceState::NONE), context);
    }
}
