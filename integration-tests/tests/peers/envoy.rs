//! Envoy in between, silent and with spans of its own, with the configurations that
//! `docs/proxies.md` shows.

use integration_tests::native;
use throughline_testing::tree::assert_tree;

use crate::curl;
use crate::process::{Folder, Server, command, configuration};
use crate::rig::Rig;

/// One port for both, to the shop of the rig.
pub(crate) async fn start(rig: &Rig, name: &str) -> Option<Server<1>> {
    let envoy = native("ENVOY_BIN")?;
    let start = |folder: &Folder, [port]: [u16; 1]| {
        let mut addresses = vec![
            ("0.0.0.0, port_value: 80 ", format!("127.0.0.1, port_value: {port} ")),
            ("shop, port_value: 8080", format!("127.0.0.1, port_value: {}", rig.shop.port())),
        ];
        if name == "envoy-tracer.yaml" {
            let collector = rig.collector.address().port();
            let address = format!("127.0.0.1, port_value: {collector}");
            addresses.push(("collector, port_value: 4318", address));
        }
        let file = folder.write("envoy.yaml", &configuration(name, &addresses));
        // What it has to say at once, and not after five spans or five seconds.
        let at_once = "layered_runtime: { layers: [{ name: test, static_layer: { tracing: \
                       { opentelemetry: { min_flush_spans: 1, flush_interval_ms: 100 } } } }] }";
        let mut command = command(&envoy);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        command.args(["--config-yaml", at_once, "--config-path"]).arg(file);
        command
    };
    Some(Server::start(start).await)
}

#[tokio::test]
async fn http_goes_through_whole() {
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(envoy) = start(&rig, "envoy.yaml").await else { return };
    rig.ask_for_order(envoy.addresses[0]).await;
    rig.assert_whole(
        0,
        "http 1",
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway] {http.response.status_code=200}
            SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2, network.peer.address=127.0.0.1, network.protocol.version=1.1}
        ",
    )
    .await;
}

#[tokio::test]
async fn what_curl_says_goes_through_to_the_last_header() {
    // And what it forges does not.
    let forged = ["--header", "forwarded: for=6.6.6.6", "--header", "x-forwarded-for: 6.6.6.6"];
    for version in ["1.1", "2"] {
        let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
        let Some(envoy) = start(&rig, "envoy.yaml").await else { return };
        let by = if version == "2" { "--http2-prior-knowledge" } else { "--http1.1" };
        if !curl::ask_for_order(envoy.addresses[0], &[&[by], &forged[..]].concat()).await {
            return;
        }
        let spans = rig.spans(0).await;
        let tree = "SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2, ";
        assert_tree(&spans, &format!("{tree}network.protocol.version={version}}}"));
        curl::assert_continued(&spans[0]);
    }
}

#[tokio::test]
async fn calls_go_through_whole() {
    let rig = Rig::new().await;
    let Some(envoy) = start(&rig, "envoy.yaml").await else { return };
    rig.call_greeter(envoy.addresses[0]).await;
    rig.assert_whole(
        0,
        "grpc 4",
        "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway] {rpc.status_code=OK}
            SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/GreetOften [gateway] {rpc.status_code=OK}
            SERVER peers.v1.Greeter/GreetOften [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/Chat [gateway] {rpc.status_code=OK}
            SERVER peers.v1.Greeter/Chat [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/Greet [gateway] !error(there is nobody) {rpc.status_code=NOT_FOUND}
            SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=NOT_FOUND}
        ",
    )
    .await;
}

#[tokio::test]
async fn http_goes_through_whole_and_its_spans_stand_between_ours() {
    let rig = Rig::new().await;
    let Some(envoy) = start(&rig, "envoy-tracer.yaml").await else { return };
    rig.ask_for_order(envoy.addresses[0]).await;
    rig.assert_whole(
        2,
        "http 2",
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway]
            SERVER ingress [ingress] {http.status_code=200}
              CLIENT router shop egress [ingress] {http.status_code=200}
                SERVER GET /orders/{id} [shop] {tenant=acme}
        ",
    )
    .await;
}

#[tokio::test]
async fn calls_go_through_whole_and_its_spans_stand_between_ours() {
    let rig = Rig::new().await;
    let Some(envoy) = start(&rig, "envoy-tracer.yaml").await else { return };
    rig.call_greeter(envoy.addresses[0]).await;
    rig.assert_whole(
        8,
        "http 4, grpc 4",
        "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway] {rpc.status_code=OK}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress] {grpc.status_code=0}
                SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/GreetOften [gateway] {rpc.status_code=OK}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress] {grpc.status_code=0}
                SERVER peers.v1.Greeter/GreetOften [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/Chat [gateway] {rpc.status_code=OK}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress] {grpc.status_code=0}
                SERVER peers.v1.Greeter/Chat [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT peers.v1.Greeter/Greet [gateway] !error(there is nobody) {rpc.status_code=NOT_FOUND}
            SERVER ingress [ingress] {grpc.status_code=5}
              CLIENT router shop egress [ingress] !error {grpc.status_code=5}
                SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=NOT_FOUND}
        ",
    )
    .await;
}
