//! nginx in between, with the configurations that `docs/proxies.md` shows.

use axum::http::HeaderName;
use integration_tests::native;
use throughline::core::root::Class;
use throughline_testing::tree::assert_tree;

use crate::curl;
use crate::process::{Server, command, configuration};
use crate::rig::{Rig, judge};

/// One for HTTP, and one for gRPC, to the shop of the rig.
pub(crate) async fn start(rig: &Rig, name: &str) -> Option<Server<2>> {
    let nginx = native("NGINX_BIN")?;
    let start = |folder: &crate::process::Folder, [http, grpc]: [u16; 2]| {
        let server = configuration(
            name,
            &[
                ("shop:8080", rig.shop.to_string()),
                ("listen 80;", format!("listen 127.0.0.1:{http};")),
                ("listen 50051 http2;", format!("listen 127.0.0.1:{grpc} http2;")),
            ],
        );
        folder.write("server.conf", &server);
        let path = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .concat();
        let main = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{ access_log off;\n{temporary}include {path}/server.conf; }}\n"
        );
        let main = folder.write("nginx.conf", &main);
        let mut command = command(&nginx);
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(main);
        command
    };
    Some(Server::start(start).await)
}

#[tokio::test]
async fn http_goes_through_whole() {
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(nginx) = start(&rig, "nginx.conf").await else { return };
    rig.ask_for_order(nginx.addresses[0]).await;
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
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(nginx) = start(&rig, "nginx.conf").await else { return };
    // And what it forges does not.
    let forged = ["--header", "forwarded: for=6.6.6.6", "--header", "x-forwarded-for: 6.6.6.6"];
    if !curl::ask_for_order(nginx.addresses[0], &forged).await {
        return;
    }
    let spans = rig.spans(0).await;
    assert_tree(&spans, "SERVER GET /orders/{id} [shop] {tenant=acme, client.address=127.0.0.2}");
    curl::assert_continued(&spans[0]);
}

#[tokio::test]
async fn calls_go_through_whole() {
    let rig = Rig::with(|layer| layer.trusted_proxies(1)).await;
    let Some(nginx) = start(&rig, "nginx.conf").await else { return };
    rig.call_greeter(nginx.addresses[1]).await;
    rig.assert_whole(
        0,
        "grpc 4",
        "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway] {rpc.status_code=OK}
            SERVER peers.v1.Greeter/Greet [shop] {tenant=acme, rpc.status_code=OK, client.address=127.0.0.1}
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
async fn a_stripped_header_of_http_is_named() {
    let rig = Rig::with(|layer| layer.expect_parent(true)).await;
    let Some(nginx) = start(&rig, "nginx-strips.conf").await else { return };
    rig.ask_for_order(nginx.addresses[0]).await;
    let spans = rig.spans(0).await;
    assert_tree(
        &spans,
        "
        INTERNAL checkout [gateway]
          CLIENT GET [gateway]
        SERVER GET /orders/{id} [shop] {throughline.parent.expected=true}
        ",
    );
    assert_named(&rig, &spans, Class::Http, "GET /orders/{id}");
    assert_eq!(rig.lineage.lost_roots()[0].name, "GET /orders/{id}");
}

#[tokio::test]
async fn a_stripped_header_of_grpc_is_named() {
    let rig = Rig::with(|layer| layer.expect_parent(true)).await;
    let Some(nginx) = start(&rig, "nginx-strips.conf").await else { return };
    let mut client = rig.client(nginx.addresses[1]);
    rig.checkout(client.greet("Ada")).await.expect("an answer");
    let spans = rig.spans(0).await;
    assert_tree(
        &spans,
        "
        INTERNAL checkout [gateway]
          CLIENT peers.v1.Greeter/Greet [gateway]
        SERVER peers.v1.Greeter/Greet [shop] {throughline.parent.expected=true}
        ",
    );
    assert_named(&rig, &spans, Class::Grpc, "peers.v1.Greeter/Greet");
}

#[tokio::test]
async fn the_answer_tells_behind_which_hop_the_trace_was_lost() {
    let rig = Rig::with(|layer| layer.response_header(HeaderName::from_static("x-trace-id"))).await;
    let Some(passes) = start(&rig, "nginx.conf").await else { return };
    let Some(strips) = start(&rig, "nginx-strips.conf").await else { return };
    let ask = ["--output", "/dev/null", "--write-out", "%header{x-trace-id}"];
    let Some(through_one) = curl::say(passes.addresses[0], &ask).await else { return };
    assert_eq!(through_one, curl::TRACE);
    let through_other = curl::say(strips.addresses[0], &ask).await.expect("there is a curl");
    assert_ne!(through_other, curl::TRACE);
    let traces: Vec<_> = rig.spans(0).await.iter().map(|span| span.trace_id.to_string()).collect();
    assert_eq!(traces, [through_one, through_other]);
}

/// That one span is named as what has lost its trace, by the verdict and by the guard.
fn assert_named(rig: &Rig, spans: &[throughline_testing::lineage::Span], class: Class, span: &str) {
    let verdict = judge(spans);
    assert_eq!((verdict.summary.orphans, verdict.breaks.len()), (1, 1), "{verdict}");
    let said = verdict.to_string();
    let break_of = format!("broken {}: `{span}` in shop in trace ", class.as_str());
    assert!(said.contains(&break_of), "{said}");
    let why = "a parent was expected here, but what came in carried no context to continue";
    assert!(said.contains(why), "{said}");
    println!("{said}");
    let lost = rig.lineage.lost_roots();
    assert_eq!((lost.len(), lost[0].class, lost[0].count), (1, class, 1));
}
