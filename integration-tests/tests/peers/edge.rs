//! Which hop is the edge: behind a proxy too, a stranger's trace is not ours.

use throughline::Trust;
use throughline_testing::lineage::Span;
use throughline_testing::tree::assert_tree;

use crate::curl;
use crate::nginx;
use crate::rig::{Rig, judge};

/// A trace of our own, and a link to the stranger's.
fn assert_linked(span: &Span) {
    assert_tree(std::slice::from_ref(span), "SERVER GET /orders/{id} [shop] ~(elsewhere)");
    assert_eq!(span.links[0].trace_id.to_string(), curl::TRACE);
    assert_ne!(span.trace_id, span.links[0].trace_id);
    assert!(span.trace_state.is_empty(), "the stranger's goes with his trace");
    // A trace that begins at the edge is whole, though a stranger's span stands before it.
    assert!(judge(std::slice::from_ref(span)).is_unbroken());
}

#[tokio::test]
async fn the_first_service_behind_a_public_proxy_is_the_edge() {
    let rig = Rig::with(|layer| layer.trust(Trust::Link).trusted_proxies(1)).await;
    let Some(nginx) = nginx::start(&rig, "nginx.conf").await else { return };
    if !curl::ask_for_order(nginx.addresses[0], &[]).await {
        return;
    }
    let spans = rig.spans(0).await;
    assert_linked(&spans[0]);
    assert_eq!(spans[0].attributes.get_str("client.address"), Some("127.0.0.2"));
    assert_eq!(spans[0].attributes.get_str("tenant"), None, "his baggage stays outside");
}

#[tokio::test]
async fn one_port_can_be_an_edge_to_the_proxy_and_none_to_those_inside() {
    // The proxy calls from 127.0.0.1, those inside from elsewhere.
    let rig = Rig::with(|layer| {
        layer.trust_by(|request| match request.peer() {
            Some(peer) if peer.ip().to_string() != "127.0.0.1" => Trust::Continue,
            _ => Trust::Link,
        })
    })
    .await;
    let Some(nginx) = nginx::start(&rig, "nginx.conf").await else { return };
    if !curl::ask_for_order(nginx.addresses[0], &[]).await {
        return;
    }
    assert_linked(&rig.spans(0).await[0]);
    rig.recorder.clear();
    rig.ask_for_order(rig.shop).await;
    rig.assert_whole(
        0,
        "http 1",
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway]
            SERVER GET /orders/{id} [shop] {tenant=acme}
        ",
    )
    .await;
}
