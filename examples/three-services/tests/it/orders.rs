//! What becomes of an order.

use crate::harness::{assert_contains, edges, run};

#[test]
fn an_order_is_one_trace() {
    let demo = run(&[]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert!(
        demo.closing().starts_with("PASS  3 orders in 3 traces, 51 spans, 3 services, 0 orphans"),
        "{}",
        demo.out
    );
    assert_contains(&demo.out, &["POST /orders/{id}/state", "◀ slowest"]);
}

/// The tree of an order: who is whose parent. Of what runs at the same time, nobody knows which
/// starts first.
#[test]
fn an_order_is_this_tree() {
    let demo = run(&["--json", "--orders", "1"]);
    let json: serde_json::Value = serde_json::from_str(&demo.out).expect("JSON");
    assert_eq!(json["passed"], true, "{}", demo.out);
    assert_eq!(json["orders"], 1);
    let edges = edges(&json["traces"][0]);
    assert_eq!(
        edges,
        [
            " > gateway server POST /orders",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment client POST > gateway server POST /orders/{id}/state",
            "fulfilment consumer process placed-orders > fulfilment client POST",
            "fulfilment consumer process placed-orders > fulfilment internal schedule",
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

#[test]
fn many_orders_at_once_are_as_many_traces() {
    let demo = run(&["--orders", "200", "--concurrency", "20", "--trees", "0"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    let closing = "PASS  200 orders in 200 traces, 3400 spans, 3 services, 0 orphans";
    assert!(demo.closing().starts_with(closing), "{}", demo.out);
}
