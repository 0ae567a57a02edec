//! How spans become trees, whatever they look like, and how trees are shown.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use throughline_lineage::{Forest, Kind, Link, Node, Settings, Span, Top};

fn one(spans: impl IntoIterator<Item = Span>) -> Forest {
    let forest = Forest::new(spans);
    assert_eq!(forest.traces().len(), 1);
    forest
}

fn shown(forest: &Forest, wanted: &str) {
    let got = forest.traces()[0].to_string();
    assert!(got == wanted, "got:\n{got}\nwanted:\n{wanted}");
}

#[test]
fn an_order_is_one_tree() {
    let mut spans = order(&DEMO);
    spans[4] = spans[4].clone().failed("out of stock");
    spans.reverse();
    let forest = one(spans);
    shown(
        &forest,
        "\
trace 01010101010101010101010101010101  3 services, 6 spans, 60.0 ms
POST /checkout         gateway     server       +0 µs  50.0 ms
└ POST                 gateway     client     +5.0 ms  40.0 ms
  └ POST /orders       orders      server     +8.0 ms  32.0 ms
    ├ POST             orders      client    +10.0 ms  20.0 ms
    │ └ POST /reserve  fulfilment  server    +12.0 ms  16.0 ms  ERROR out of stock  ◀ deepest failure
    └ audit            orders      internal  +35.0 ms  25.0 ms  ◀ slowest: 25.0 ms itself
",
    );
    let outline = forest.traces()[0].outline();
    assert_eq!(
        outline,
        "\
POST /checkout server [gateway]
  POST client [gateway]
    POST /orders server [orders]
      POST client [orders]
        POST /reserve server [fulfilment] ERROR out of stock
      audit internal [orders]
"
    );
}

#[test]
fn pieces_of_a_trace_stand_side_by_side() {
    let forest = one([
        span(1, 1, "root").at(0, 100),
        span(1, 3, "lost").under(2).at(10, 20),
        span(1, 4, "under the lost").under(3).at(11, 19),
    ]);
    let outline = forest.traces()[0].outline();
    assert_eq!(
        outline,
        "root internal\nlost internal (parent missing)\n  under the lost internal\n"
    );
    let tops: Vec<_> = forest.traces()[0].tops().map(Node::top).collect();
    assert_eq!(tops, [Some(Top::Root), Some(Top::ParentMissing(id(2)))]);
    assert!(forest.traces()[0].to_string().contains("parent 0202020202020202 missing"));
}

#[test]
fn links_say_where_they_lead() {
    let mut work = span(1, 2, "work").under(1);
    work.links.push(Link::new(trace(1), id(1)));
    let mut batch = span(1, 3, "batch").under(1);
    batch.links.push(Link::new(trace(9), id(1)));
    let forest = one([span(1, 1, "root"), work.clone(), batch.clone()]);
    assert_eq!(
        forest.traces()[0].outline(),
        "root internal\n  work internal ~ root\n  batch internal ~ another trace\n"
    );
    let text = forest.traces()[0].to_string();
    assert!(text.contains("orphan: it has no parent"), "{text}");
    assert!(text.contains("~ root  ◀"), "{text}");
    assert!(text.contains("~ span 0101010101010101 of trace 09090909\n"), "{text}");
    batch.links.push(Link::new(trace(8), id(1)));
    assert!(one([batch]).traces()[0].to_string().contains("~ 2 links"));
}

#[test]
fn a_message_says_how_long_it_waited() {
    let waited = |age: i64| {
        let mut process = span(1, 1, "process orders");
        process.attributes.push("throughline.message.age", age);
        one([process]).traces()[0].to_string()
    };
    let text = waited(12);
    assert!(text.contains("  waited 12 ms"), "{text}");
    assert!(waited(1_500).contains("waited 1.50 s"));
    // What comes from outside is told only if it says something.
    for age in [0, -12, i64::MIN] {
        assert!(!waited(age).contains("waited"), "{age}");
    }
}

/// Calls that are made for many traces at once are told apart from what is of one.
#[test]
fn fetching_and_settling_is_housekeeping_where_it_is_of_no_trace() {
    let call = |trace, id, name, kind| {
        span(trace, id, name).kind(Kind::Client).with("messaging.operation.type", kind)
    };
    let forest = Forest::new([
        call(1, 1, "receive orders", "receive"),
        call(2, 1, "delete orders", "settle").failed("it is gone"),
        call(3, 1, "send orders", "send"),
        // What a request asked for is the request's.
        span(4, 1, "GET /next").kind(Kind::Server),
        call(4, 2, "receive orders", "receive").under(1),
        // Its parent is missing.
        call(5, 2, "receive orders", "receive").under(1),
    ]);
    let found: Vec<_> = forest.traces().iter().map(|it| (it.id(), it.is_housekeeping())).collect();
    let wanted = [(1, true), (2, true), (3, false), (4, false), (5, false)];
    assert_eq!(found, wanted.map(|(id, is_housekeeping)| (trace(id), is_housekeeping)));
}

#[test]
fn spans_delivered_twice_count_once() {
    let forest = one(order(&DEMO).into_iter().chain(order(&DEMO)));
    assert_eq!(forest.duplicates(), 6);
    let verdict = forest.judge(&Settings::complete());
    assert_eq!((verdict.summary.spans, verdict.summary.duplicates), (6, 6));
    assert!(verdict.is_unbroken());
    // The same span id in another trace is another span.
    assert_eq!(Forest::new([span(1, 1, "a"), span(2, 1, "a")]).duplicates(), 0);
}

#[test]
fn a_ring_of_spans_ends_and_is_a_break() {
    let forest = one([
        span(1, 1, "root").kind(Kind::Server).at(0, 9),
        span(1, 2, "b").under(4).at(2, 9),
        span(1, 3, "c").under(2).at(3, 9),
        span(1, 4, "d").under(3).at(4, 9),
        span(1, 5, "off the ring").under(4).at(1, 9),
    ]);
    assert_eq!(
        forest.traces()[0].outline(),
        "root server\nb internal\n  c internal\n    d internal\n      off the ring internal\n"
    );
    let verdict = forest.judge(&Settings::complete());
    assert_eq!((verdict.breaks.len(), verdict.breaks[0].span.as_str()), (1, "b"));

    let own_parent = one([span(1, 1, "narcissus").under(1)]);
    assert_eq!(own_parent.nodes().next().unwrap().top(), Some(Top::Cycle));
    assert_eq!(own_parent.judge(&Settings::complete()).summary.orphans, 1);
}

#[test]
fn children_are_sorted_by_start_and_skewed_clocks_do_no_harm() {
    let forest = one([
        span(1, 1, "parent").at(10, 20),
        span(1, 2, "second").under(1).at(12, 14),
        // By its own host's clock it started before its parent, and ended after it.
        span(1, 3, "first").under(1).at(5, 11),
        span(1, 4, "third").under(1).at(18, 25),
        span(1, 5, "backwards").under(1).at(19, 3),
    ]);
    let root = forest.traces()[0].tops().next().unwrap();
    let names: Vec<_> = root.children().map(|child| child.span().name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third", "backwards"]);
    // 10 ms less [10, 11], [12, 14] and [18, 20].
    assert_eq!(root.self_time(), Duration::from_millis(5));
    assert_eq!(root.children().last().unwrap().span().duration(), Duration::ZERO);
    let text = forest.traces()[0].to_string();
    assert!(text.contains("-5.0 ms"), "{text}");
    let json = serde_json::to_value(&forest.traces()[0]).unwrap();
    assert_eq!(json["spans"][1]["offset_nano"], -5_000_000);
}

#[test]
fn overlapping_children_take_their_time_once() {
    let forest = one([
        span(1, 1, "parent").at(0, 100),
        span(1, 2, "a").under(1).at(10, 60),
        span(1, 3, "b").under(1).at(20, 30),
        span(1, 4, "c").under(1).at(50, 90),
    ]);
    let trace = &forest.traces()[0];
    assert_eq!(trace.tops().next().unwrap().self_time(), Duration::from_millis(20));
    assert_eq!(trace.slowest().unwrap().span().name, "a");
}

#[test]
fn the_deepest_failure_is_marked_not_those_it_caused() {
    let forest = one([
        span(1, 1, "root").at(0, 10).failed("500"),
        span(1, 2, "late and shallow").under(1).at(8, 9).failed("x"),
        span(1, 3, "call").under(1).at(1, 5).failed("503"),
        span(1, 4, "cause").under(3).at(2, 4).failed("disk full"),
        span(1, 5, "deeper but well").under(4).at(3, 4),
    ]);
    assert_eq!(forest.traces()[0].deepest_failure().unwrap().span().name, "cause");
    assert!(one([span(1, 1, "fine")]).traces()[0].deepest_failure().is_none());
}

#[test]
fn lines_stay_readable_and_harmless() {
    let deep = (1..=60).map(|depth| {
        let name =
            format!("level {depth} \u{1b}[31m of a name that goes on and on, \u{202e}for ever");
        let span = span(1, depth, &name).kind(Kind::Internal).by(&service(&"s".repeat(80)));
        if depth == 1 { span } else { span.under(depth - 1) }
    });
    let text = one(deep).traces()[0].to_string();
    assert!(text.contains("(59 deep)"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line:?}");
    }
}

#[test]
fn a_trace_deeper_than_the_stack_is_built_judged_and_shown() {
    let mut spans: Vec<_> = (1..=100_000_u64)
        .map(|number| {
            let mut span = span(1, 1, "down");
            span.span_id = throughline_lineage::SpanId::from_bytes(number.to_be_bytes()).unwrap();
            span.parent = throughline_lineage::SpanId::from_bytes((number - 1).to_be_bytes()).ok();
            span
        })
        .collect();
    spans[0].attributes.push("throughline.root", "deep");
    let forest = one(spans);
    assert!(forest.judge(&Settings::complete()).is_unbroken());
    assert_eq!(forest.traces()[0].to_string().lines().count(), 100_001);
    assert!(serde_json::to_string(&forest.traces()[0]).unwrap().contains("99999"));
}

#[test]
fn programs_get_the_same_tree() {
    let json = serde_json::to_value(&one(order(&DEMO)).traces()[0]).unwrap();
    assert_eq!(json["trace_id"], trace(1).to_string());
    assert_eq!(json["start_unix_nano"], T0.to_string());
    assert_eq!(json["duration_nano"], 60 * MS);
    assert_eq!(json["slowest"], id(6).to_string());
    let audit = &json["spans"][5];
    assert_eq!(
        (&audit["name"], &audit["service"], &audit["kind"], &audit["depth"]),
        (&"audit".into(), &"orders".into(), &"internal".into(), &3.into())
    );
    assert_eq!(audit["offset_nano"], 35 * MS);
}

// A red run writes nothing into the tree: what it found becomes a test by hand.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any spans at all make trees in which each of them stands once, after its parent.
    #[test]
    fn no_span_is_lost_or_doubled(
        made in prop::collection::vec((1_u8..4, 1_u8..12, 0_u8..12, 0_u64..50, 0_u64..50), 0..60)
    ) {
        let spans: Vec<_> = made.iter().map(|(trace, own, parent, start, end)| {
            let span = span(*trace, *own, "x").at(*start, *end);
            if *parent == 0 { span } else { span.under(*parent) }
        }).collect();
        let distinct: HashSet<_> = spans.iter().map(|span| (span.trace_id, span.span_id)).collect();
        let forest = Forest::new(spans);
        let mut seen = HashSet::new();
        for node in forest.nodes() {
            let span = node.span();
            prop_assert!(seen.insert((span.trace_id, span.span_id)));
            prop_assert!(node.self_time() <= span.duration());
            if let Some(parent) = node.parent() {
                prop_assert_eq!(Some(parent.span().span_id), span.parent);
                prop_assert!(seen.contains(&(span.trace_id, parent.span().span_id)));
                prop_assert_eq!(node.depth(), parent.depth() + 1);
            } else {
                prop_assert!(node.top().is_some());
            }
        }
        prop_assert_eq!(seen, distinct);
        prop_assert_eq!(forest.duplicates(), made.len() - forest.nodes().count());
        let verdict = forest.judge(&Settings::complete());
        prop_assert_eq!(verdict.summary.orphans, forest.traces().iter().map(|t| t.tops().len()).sum::<usize>());
        let _ = (verdict.to_string(), forest.traces().iter().map(ToString::to_string).count());
    }
}
