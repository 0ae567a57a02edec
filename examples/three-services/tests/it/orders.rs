//! What becomes of an order.

use serde_json::Value;

use crate::harness::{assert_contains, edges, run, traces};

#[test]
fn an_order_is_one_trace() {
    let demo = run(&[]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert!(
        demo.closing().starts_with(
            "PASS  3 orders in 3 traces and 3 linked to them, 69 spans, 3 services, 0 orphans"
        ),
        "{}",
        demo.out
    );
    assert_contains(
        &demo.out,
        &["POST /orders/{id}/state", "GET /orders/{id}/events", "◀ slowest"],
    );
}

/// The tree of an order: who is whose parent. Of what runs at the same time, nobody knows which
/// starts first.
#[test]
fn an_order_is_this_tree() {
    let demo = run(&["--json", "--orders", "1"]);
    let json: Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!(json["passed"], true, "{}", demo.out);
    assert_eq!(json["orders"], 1);
    let (traces, _) = traces(&json);
    let edges = edges(traces[0]);
    assert_eq!(
        edges,
        [
            " > gateway server POST /orders",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment consumer process pickups > fulfilment client POST",
            "fulfilment consumer process pickups > fulfilment internal book",
            "fulfilment consumer process placed-orders > fulfilment client POST",
            "fulfilment consumer process placed-orders > fulfilment internal schedule",
            "fulfilment consumer process placed-orders > fulfilment producer send pickups",
            "fulfilment producer send pickups > fulfilment consumer process pickups",
            "fulfilment server shipping.v1.Shipping/Ship > fulfilment client POST",
            "fulfilment server shipping.v1.Shipping/Ship > fulfilment internal pack",
            "gateway client POST > orders server POST /orders",
            "gateway server POST /orders > gateway client POST",
            "orders client shipping.v1.Shipping/Ship > fulfilment server shipping.v1.Shipping/Ship",
            "orders client shipping.v1.Shipping/Track > fulfilment server shipping.v1.Shipping/Track",
            "orders producer send placed-orders > fulfilment consumer process placed-orders",
            "orders server POST /orders > orders client shipping.v1.Shipping/Ship",
            "orders server POST /orders > orders client shipping.v1.Shipping/Track",
            "orders server POST /orders > orders internal audit",
            "orders server POST /orders > orders internal reserve",
            "orders server POST /orders > orders producer send placed-orders",
        ]
    );
}

/// Whoever waits for an order has a trace of his own, from outside, that leads to the order's. Its span
/// lasts until there is no more to tell.
#[test]
fn the_stream_of_an_order_is_one_span_to_its_end() {
    let demo = run(&["--json", "--orders", "2"]);
    let json: Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!((&json["passed"], &json["linked_traces"]), (&true.into(), &2.into()));
    let (orders, streams) = traces(&json);
    assert_eq!((orders.len(), streams.len()), (2, 2));
    let nanos = |value: &Value| value.as_str().and_then(|it| it.parse().ok()).expect("a time");
    for (order, stream) in orders.into_iter().zip(streams) {
        assert_eq!(edges(stream), [" > gateway server GET /orders/{id}/events"]);
        let span = &stream["spans"][0];
        let link = &span["links"][0];
        assert_eq!(link["trace_id"], order["trace_id"]);
        assert_eq!(link["span_id"], order["spans"][0]["span_id"]);

        let (opened, begun): (u64, u64) =
            (nanos(&stream["start_unix_nano"]), nanos(&order["start_unix_nano"]));
        let closed = opened + span["duration_nano"].as_u64().expect("a duration");
        let reports = order["spans"].as_array().expect("spans").iter();
        let reports = reports.filter(|span| span["name"] == "POST /orders/{id}/state");
        let last = reports.filter_map(|span| span["offset_nano"].as_u64()).max();
        assert!(closed > begun + last.expect("a report"), "it ended before the order was done");
    }
}

#[test]
fn many_orders_at_once_are_as_many_traces() {
    let demo = run(&["--orders", "200", "--concurrency", "20", "--trees", "0"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    let closing =
        "PASS  200 orders in 200 traces and 200 linked to them, 4600 spans, 3 services, 0 orphans";
    assert!(demo.closing().starts_with(closing), "{}", demo.out);
}
