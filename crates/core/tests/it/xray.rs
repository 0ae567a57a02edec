//! X-Ray, by the AWS X-Ray Developer Guide, "Tracing header".

use opentelemetry::trace::{SpanId, TraceId};
use proptest::prelude::*;
use throughline_core::codec::xray::{XRay, parse, print};
use throughline_core::codec::{Malformed, Sampling};

use crate::grammar;

const TRACE: TraceId =
    TraceId::from_bytes(0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793_u128.to_be_bytes());
const SPAN: SpanId = SpanId::from_bytes(0x5399_5c3f_42cd_8ad8_u64.to_be_bytes());

#[test]
fn a_header() {
    let with = |sampling| Ok((Some((TRACE, SPAN)), sampling, None));
    let rootless = |sampling| Ok((None, sampling, None));
    let cases = [
        // "Tracing header": from an application with a sampling decision
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            with(Sampling::Accepted),
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            with(Sampling::Denied),
        ),
        // The decision is asked for, or left open
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?",
            with(Sampling::Deferred),
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            with(Sampling::Deferred),
        ),
        // Any order, white space, an end
        (
            " Sampled=1 ; Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793; ",
            with(Sampling::Accepted),
        ),
        // Application Load Balancer, "Request tracing": Self, and fields of applications
        (
            "Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;CalledFrom=app",
            with(Sampling::Deferred),
        ),
        // From a load balancer there is no parent to continue
        ("Root=1-5759e988-bd862e3fe1be46a994272793", rootless(Sampling::Deferred)),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", rootless(Sampling::Accepted)),
        ("Sampled=0", rootless(Sampling::Denied)),
        ("", rootless(Sampling::Deferred)),
        // "Lineage", which Lambda adds
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2",
            Ok((Some((TRACE, SPAN)), Sampling::Accepted, Some("a87bd80c:1|68fd508a:5|c512fbe3:2"))),
        ),
        // What could end the field or the header is no lineage
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a,b",
            with(Sampling::Accepted),
        ),
        // What isn't in the grammar
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=2",
            Err(Malformed::Flags),
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=",
            Err(Malformed::Flags),
        ),
        (
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            Err(Malformed::Version),
        ),
        ("Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8", Err(Malformed::Length)),
        (
            "Root=1-5759e988xbd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            Err(Malformed::Delimiter),
        ),
        (
            "Root=1-5759E988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            Err(Malformed::TraceId),
        ),
        (
            "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
            Err(Malformed::TraceId),
        ),
        ("Root=1-00000000-000000000000000000000000", Err(Malformed::TraceId)),
        ("Parent=53995c3f42cd8ad8;Sampled=1", Err(Malformed::TraceId)),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995C3F42CD8AD8",
            Err(Malformed::SpanId),
        ),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad", Err(Malformed::SpanId)),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000",
            Err(Malformed::SpanId),
        ),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent", Err(Malformed::Delimiter)),
        ("Sampled=1;Sampled=0", Err(Malformed::Doubled)),
    ];
    for (header, expected) in cases {
        let parsed = parse(header.as_bytes());
        let parsed = parsed.map(|XRay { ids, sampling, lineage }| (ids, sampling, lineage));
        assert_eq!(parsed, expected, "{header:?}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(header in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = parse(&header);
    }

    #[test]
    fn nearly_valid_input_does_not_panic(
        fields in proptest::collection::vec("(Root|Parent|Sampled|Lineage|Self)?=?[01?a-f:;-]{0,40}", 0..5),
    ) {
        let _ = parse(fields.join(";").as_bytes());
    }

    #[test]
    fn what_is_printed_is_read(
        trace in 1u128..,
        span in 1u64..,
        sampling in prop::sample::select(vec![
            Sampling::Deferred, Sampling::Denied, Sampling::Accepted,
        ]),
        lineage in proptest::option::of("[0-9a-f:|]{1,20}"),
    ) {
        let ids = Some((TraceId::from(trace), SpanId::from(span)));
        let sent = XRay { ids, sampling, lineage: lineage.as_deref() };
        let context = sent.span_context().expect("it has ids");
        let printed = print(&context, Some(sampling), sent.lineage);
        prop_assert!(grammar::is_xray(&printed), "{}", printed);
        prop_assert_eq!(parse(printed.as_bytes()), Ok(sent));
    }

    #[test]
    fn no_lineage_leaves_its_field(lineage in any::<String>()) {
        let sent = XRay { ids: Some((TRACE, SPAN)), sampling: Sampling::Accepted, lineage: None };
        let context = sent.span_context().expect("it has ids");
        let printed = print(&context, None, Some(&lineage));
        prop_assert!(grammar::is_xray(&printed), "{}", printed);
    }
}
