//! Caddy and Traefik in between, with the configurations that `docs/proxies.md` shows.

use std::net::SocketAddr;
use std::time::Duration;

use integration_tests::native;
use throughline_testing::tree::assert_tree;
use tokio::time::{sleep, timeout};

use crate::curl;
use crate::process::{Folder, PATIENCE, Server, command, configuration};
use crate::rig::Rig;

async fn caddy(rig: &Rig, name: &str) -> Option<Server<1>> {
    let caddy = native("CADDY_BIN")?;
    let start = |folder: &Folder, [port]: [u16; 1]| {
        let addresses =
            [("http://:80", format!("http://:{port}")), ("shop:8080", rig.shop.to_string())];
        // Its other port would be the same in each test.
        let file = configuration(name, &addresses).replacen('{', "{\n\tadmin off", 1);
        let mut command = command(&caddy);
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command.arg(folder.write("Caddyfile", &file)).env("HOME", folder.path());
        command.env("XDG_CONFIG_HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
        command
            .env("OTEL_SERVICE_NAME", "ingress")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", rig.collector.endpoint());
        command
    };
    Some(Server::start(start).await)
}

/// Its second port is that of its API, which tells when it knows its routes.
async fn traefik(rig: &Rig) -> Option<Server<2>> {
    let traefik = native("TRAEFIK_BIN")?;
    let start = |folder: &Folder, [port, api]: [u16; 2]| {
        let shop = [("shop:8080", rig.shop.to_string())];
        let routes = folder.write("routes.yaml", &configuration("traefik-routes.yaml", &shop));
        let addresses = [
            ("\":80\"", format!("127.0.0.1:{port}\n  traefik:\n    address: 127.0.0.1:{api}")),
            ("/etc/traefik/routes.yaml", routes.display().to_string()),
        ];
        let file = configuration("traefik.yaml", &addresses) + "api: { insecure: true }\n";
        let mut command = command(&traefik);
        command.arg(format!("--configFile={}", folder.write("traefik.yaml", &file).display()));
        command
    };
    let server = Server::start(start).await;
    let url = format!("http://{}/api/http/routers/grpc@file", server.addresses[1]);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let knows_its_routes = async {
        #[expect(clippy::disallowed_methods, reason = "a question about no request of ours")]
        while client.get(&url).send().await.is_ok_and(|answer| !answer.status().is_success()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, knows_its_routes).await.expect("routes");
    Some(server)
}

async fn http_goes_through_whole(rig: Rig, at: SocketAddr) {
    rig.ask_for_order(at).await;
    rig.assert_whole(
        0,
        "http 1",
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway] {http.response.status_code=200}
            SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2, network.protocol.version=1.1}
        ",
    )
    .await;
    rig.recorder.clear();
    // What curl says, to the last header, and not what it forges.
    let forged = ["--header", "forwarded: for=6.6.6.6", "--header", "x-forwarded-for: 6.6.6.6"];
    if curl::ask_for_order(at, &forged).await {
        let spans = rig.spans(0).await;
        let tree = "SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2}";
        assert_tree(&spans, tree);
        curl::assert_continued(&spans[0]);
    }
}

async fn calls_go_through_whole(rig: Rig, at: SocketAddr) {
    rig.call_greeter(at).await;
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
async fn http_goes_through_caddy_whole() {
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(caddy) = caddy(&rig, "Caddyfile").await else { return };
    http_goes_through_whole(rig, caddy.addresses[0]).await;
}

#[tokio::test]
async fn calls_go_through_caddy_whole() {
    let rig = Rig::new().await;
    let Some(caddy) = caddy(&rig, "Caddyfile").await else { return };
    calls_go_through_whole(rig, caddy.addresses[0]).await;
}

#[tokio::test]
async fn http_goes_through_caddy_whole_and_its_span_stands_between_ours() {
    let rig = Rig::new().await;
    let Some(caddy) = caddy(&rig, "Caddyfile-tracing").await else { return };
    rig.ask_for_order(caddy.addresses[0]).await;
    rig.assert_whole(
        1,
        "http 2",
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway]
            SERVER ingress [ingress]
              SERVER GET /orders/{id} [shop] {tenant=acme}
        ",
    )
    .await;
}

#[tokio::test]
async fn http_goes_through_traefik_whole() {
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(traefik) = traefik(&rig).await else { return };
    http_goes_through_whole(rig, traefik.addresses[0]).await;
}

#[tokio::test]
async fn calls_go_through_traefik_whole() {
    let rig = Rig::new().await;
    let Some(traefik) = traefik(&rig).await else { return };
    calls_go_through_whole(rig, traefik.addresses[0]).await;
}
