//! grpcio with OpenTelemetry's own instrumentation for Python, on either side of a call. Their spans
//! come by OTLP.

use std::net::SocketAddr;
use std::process::Stdio;

use integration_tests::native;
use throughline::baggage;
use throughline::core::InContext;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::envoy;
use crate::process::{PATIENCE, python};
use crate::rig::Rig;

fn instrumented(rig: &Rig, service: &str, script: &str) -> Option<Command> {
    Some(rig.heard(python(&native("GRPCIO_PYTHON")?, script), service))
}

async fn client_of(rig: &Rig, at: SocketAddr) -> bool {
    let Some(mut client) = instrumented(rig, "till", "client.py") else { return false };
    let output = timeout(PATIENCE, client.arg(at.to_string()).output()).await;
    let output = output.expect("it ends").expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failed}");
    let all = "hello Ada\nhello Bob\nhello Bob\nhello Bob\nhello Cy\nhello Di\n\
               NOT_FOUND there is nobody\n";
    assert_eq!(said, all, "{failed}");
    true
}

#[tokio::test]
async fn a_client_calls_tonic() {
    let rig = Rig::new().await;
    let greeter = rig.greeter().await;
    if !client_of(&rig, greeter).await {
        return;
    }
    rig.assert_whole(
        5,
        "grpc 4",
        "
        SERVER checkout [till]
          CLIENT /peers.v1.Greeter/Greet [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/Greet [greeter] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/GreetOften [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/GreetOften [greeter] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Chat [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/Chat [greeter] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Greet [till] !error {rpc.grpc.status_code=5}
            SERVER peers.v1.Greeter/Greet [greeter] {tenant=acme, rpc.status_code=NOT_FOUND}
        ",
    )
    .await;
}

#[tokio::test]
async fn a_client_calls_the_port_that_serves_http_as_well() {
    let rig = Rig::with(|layer| layer.expect_parent(true)).await;
    if !client_of(&rig, rig.shop).await {
        return;
    }
    rig.assert_whole(
        5,
        "grpc 4",
        "
        SERVER checkout [till]
          CLIENT /peers.v1.Greeter/Greet [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/GreetOften [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/GreetOften [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Chat [till] {rpc.grpc.status_code=0}
            SERVER peers.v1.Greeter/Chat [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Greet [till] !error {rpc.grpc.status_code=5}
            SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=NOT_FOUND}
        ",
    )
    .await;
}

#[tokio::test]
async fn a_client_calls_through_envoy() {
    let rig = Rig::with(|layer| layer.expect_parent(true)).await;
    let Some(envoy) = envoy::start(&rig, "envoy-tracer.yaml").await else { return };
    if !client_of(&rig, envoy.addresses[0]).await {
        return;
    }
    rig.assert_whole(
        13,
        "http 4, grpc 4",
        "
        SERVER checkout [till]
          CLIENT /peers.v1.Greeter/Greet [till] {rpc.grpc.status_code=0}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress]
                SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/GreetOften [till] {rpc.grpc.status_code=0}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress]
                SERVER peers.v1.Greeter/GreetOften [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Chat [till] {rpc.grpc.status_code=0}
            SERVER ingress [ingress] {grpc.status_code=0}
              CLIENT router shop egress [ingress]
                SERVER peers.v1.Greeter/Chat [shop] {tenant=acme, rpc.status_code=OK}
          CLIENT /peers.v1.Greeter/Greet [till] !error {rpc.grpc.status_code=5}
            SERVER ingress [ingress] {grpc.status_code=5}
              CLIENT router shop egress [ingress] !error
                SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=NOT_FOUND}
        ",
    )
    .await;
}

/// Has a server answer what it is called by `calls`; `false` where there is none.
async fn server_of(rig: &Rig, calls: impl AsyncFnOnce(SocketAddr)) -> bool {
    let Some(mut server) = instrumented(rig, "greeter", "server.py") else { return false };
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut said = BufReader::new(server.stdout.take().expect("an output")).lines();
    let line = timeout(PATIENCE, said.next_line()).await.expect("in time").expect("a line");
    let port: u16 = line.expect("a port").parse().expect("a port");
    calls(([127, 0, 0, 1], port).into()).await;
    // Then it ends, and sends what it has.
    drop(server.stdin.take());
    let status = timeout(PATIENCE, server.wait()).await.expect("it ends").expect("a status");
    assert!(status.success());
    true
}

/// OpenTelemetry's baggage for Python takes a plus sign for a space, as forms have it.
#[tokio::test]
async fn baggage_of_any_text_reaches_a_server() {
    let rig = Rig::new().await;
    let call = async |at| {
        let mut client = rig.client(at);
        let work = async {
            let text = baggage::set("tenant", "Söhne + Co; 100 %=\"\\/").expect("it has room");
            InContext::new(client.greet("Ada"), text).await
        };
        let answer = rig.checkout(work).await;
        assert_eq!(answer.expect("an answer"), "hello Ada");
    };
    if !server_of(&rig, call).await {
        return;
    }
    let tree = "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway]
            SERVER /peers.v1.Greeter/Greet [greeter]
              INTERNAL think [greeter] {tenant=S\u{f6}hne + Co; 100 %=\"\\/}
        ";
    rig.assert_whole(2, "grpc 1", tree).await;
}

#[tokio::test]
async fn tonic_calls_a_server() {
    let rig = Rig::new().await;
    if !server_of(&rig, async |at| rig.call_greeter(at).await).await {
        return;
    }
    rig.assert_whole(
        11,
        "grpc 4",
        "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway] {rpc.status_code=OK}
            SERVER /peers.v1.Greeter/Greet [greeter] {rpc.grpc.status_code=0}
              INTERNAL think [greeter] {tenant=acme}
          CLIENT peers.v1.Greeter/GreetOften [gateway] {rpc.status_code=OK}
            SERVER /peers.v1.Greeter/GreetOften [greeter] {rpc.grpc.status_code=0}
              INTERNAL think [greeter] {tenant=acme}
              INTERNAL think [greeter] {tenant=acme}
              INTERNAL think [greeter] {tenant=acme}
          CLIENT peers.v1.Greeter/Chat [gateway] {rpc.status_code=OK}
            SERVER /peers.v1.Greeter/Chat [greeter] {rpc.grpc.status_code=0}
              INTERNAL think [greeter] {tenant=acme}
              INTERNAL think [greeter] {tenant=acme}
          CLIENT peers.v1.Greeter/Greet [gateway] !error(there is nobody) {rpc.status_code=NOT_FOUND}
            SERVER /peers.v1.Greeter/Greet [greeter] {rpc.grpc.status_code=5}
              INTERNAL think [greeter] {tenant=acme}
        ",
    )
    .await;
}
