//! What may lie between a client and a server: a choice of servers, messages that are packed, and
//! the services that tonic brings along.

use std::time::Duration;

use http::{HeaderName, Uri};
use throughline_core::semconv::THROUGHLINE_PARENT_EXPECTED;
use throughline_testing::Recorder;
use throughline_tonic::{Channel, ClientLayer, ServerLayer};
use tokio_stream::StreamExt;
use tonic::Request;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::{Channel as Balanced, Server};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tower::Layer;

use crate::echo::{Client, Echo, text};
use crate::rig::{Rig, assert_tree, channel, endpoint, listed, listen};

#[tokio::test]
async fn a_channel_over_several_servers_tells_the_name_that_they_share() {
    let recorder = Recorder::new();
    let (mut endpoints, mut servers) = (Vec::new(), Vec::new());
    for name in ["north", "south"] {
        let (incoming, port) = listen().await;
        let layer = listed(ServerLayer::new()).with_tracer_provider(&recorder.provider_for(name));
        let echo = Echo::default();
        let serve =
            Server::builder().layer(layer).add_service(echo.clone()).serve_with_incoming(incoming);
        #[expect(clippy::disallowed_methods, reason = "a server of no trace")]
        tokio::spawn(serve);
        endpoints.push(endpoint(port));
        servers.push((name, port, echo));
    }
    let balanced = Balanced::balance_list(endpoints.into_iter());
    let layer = ClientLayer::new()
        .target(&Uri::from_static("http://echo.internal:50051"))
        .with_tracer_provider(&recorder.provider_for("caller"));
    let mut client = Client(tonic::client::Grpc::new(layer.layer(balanced)));

    // tonic's choice is a random one; that it never falls on one of them is one in 2^200.
    let calls = |echo: &Echo| echo.ran_in.lock().expect("a lock").len();
    for _ in 0..200 {
        client.unary(Request::new(text("hello"))).await.expect("an answer");
        if servers.iter().all(|(_, _, echo)| calls(echo) > 0) {
            break;
        }
    }
    let mut expected = String::new();
    for (name, port, echo) in &servers {
        assert!(calls(echo) > 0, "nobody has called {name}");
        for _ in 0..calls(echo) {
            // Where a call went, its server knows.
            expected += &format!(
                "CLIENT test.v1.Echo/Unary [caller] {{server.address=echo.internal, \
                 server.port=50051, rpc.status_code=OK}}\n  \
                 SERVER test.v1.Echo/Unary [{name}] {{server.address=127.0.0.1, \
                 server.port={port}, rpc.status_code=OK}}\n"
            );
        }
    }
    assert_tree(&recorder, &expected).await;
}

#[tokio::test]
async fn packed_messages_change_nothing() {
    const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
    let capturing = |layer: ServerLayer| {
        listed(layer).capture_request_headers([ENCODING]).capture_response_headers([ENCODING])
    };
    let echo = Echo { packs: true, ..Echo::default() };
    let mut rig = Rig::of(echo, capturing, |server| server).await;
    rig.client.0 = rig.client.0.clone().send_compressed(Gzip).accept_compressed(Gzip);
    // Long enough to be worth it.
    let long = "packed ".repeat(1_000);
    let answer = rig.client.unary(Request::new(text(&long))).await.expect("an answer");
    assert_eq!(answer.into_inner().text, long);
    let texts = rig.client.both_stream(vec![text(&long), text("b")]).await.expect("an answer");
    assert_eq!(texts.into_inner().collect::<Vec<_>>().await.len(), 2);
    rig.client
        .server_stream(text("fail:5:no such order"))
        .await
        .expect("a head")
        .into_inner()
        .collect::<Vec<_>>()
        .await;
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {rpc.status_code=OK}\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=OK}\n\
         CLIENT test.v1.Echo/BothStream {rpc.status_code=OK}\n  \
         SERVER test.v1.Echo/BothStream {rpc.status_code=OK}\n\
         CLIENT test.v1.Echo/ServerStream {rpc.status_code=NOT_FOUND, error.type=NOT_FOUND} !error(no such order)\n  \
         SERVER test.v1.Echo/ServerStream {rpc.status_code=NOT_FOUND}",
    )
    .await;
    // They were packed, there and back, and handled in the traces of their callers.
    let spans = rig.recorder.spans();
    for span in spans.iter().filter(|span| span.parent.is_some()) {
        let told = format!("{:?}", span.attributes);
        for key in ["rpc.request.header.grpc-encoding", "rpc.response.header.grpc-encoding"] {
            assert!(span.attributes.get(key).is_some(), "{key}: {told}");
        }
        assert_eq!(told.matches("gzip").count(), 2, "{told}");
    }
    let mut traces: Vec<_> = spans.iter().map(|span| span.trace_id.to_string()).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 3);
    let ran_in = rig.echo.ran_in.lock().expect("a lock");
    assert!(ran_in.iter().all(|trace| traces.contains(&trace.to_string())), "{ran_in:?}");
}

/// A server that expects a parent, with the service that lists its services.
async fn reflecting(recorder: &Recorder, layer: ServerLayer) -> u16 {
    let (incoming, port) = listen().await;
    let reflection =
        tonic_reflection::server::Builder::configure().build_v1().expect("a descriptor set");
    let layer = layer.expect_parent(true).with_tracer_provider(&recorder.provider());
    let serve =
        Server::builder().layer(layer).add_service(reflection).serve_with_incoming(incoming);
    #[expect(clippy::disallowed_methods, reason = "a server of no trace")]
    tokio::spawn(serve);
    port
}

/// What there is at the other end of this channel.
async fn services(channel: Channel) -> Vec<String> {
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::iter([asked])).await;
    let answers: Vec<_> = answers.expect("an answer").into_inner().collect().await;
    let listed = answers.into_iter().map(|answer| answer.expect("no error").message_response);
    let names = listed.flat_map(|answer| match answer {
        Some(MessageResponse::ListServicesResponse(list)) => list.service,
        other => panic!("no list: {other:?}"),
    });
    names.map(|service| service.name).collect()
}

#[tokio::test]
async fn reflection_has_spans_as_any_other_service() {
    let recorder = Recorder::new();
    let port = reflecting(&recorder, ServerLayer::new()).await;
    let found = services(channel(&recorder, &endpoint(port))).await;
    assert_eq!(found, ["grpc.reflection.v1.ServerReflection"]);
    let method = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_tree(
        &recorder,
        &format!(
            "CLIENT {method} {{rpc.method={method}, rpc.status_code=OK}}\n  \
             SERVER {method} {{rpc.method={method}, rpc.status_code=OK}}"
        ),
    )
    .await;
}

/// Unlike health checks, whose callers never have a trace.
#[tokio::test]
async fn reflection_needs_a_parent_unless_it_is_excused() {
    let excusing = |layer: ServerLayer| {
        layer.expect_no_parent_of(|request| request.uri().path().starts_with("/grpc.reflection."))
    };
    for is_excused in [false, true] {
        let recorder = Recorder::new();
        let layer = ServerLayer::new();
        let layer = if is_excused { excusing(layer) } else { layer };
        let port = reflecting(&recorder, layer).await;
        let untraced = ClientLayer::new().propagate_to(|_| throughline_tonic::Propagate::Nothing);
        services(untraced.layer(endpoint(port).connect_lazy())).await;
        let spans = recorder.wait_for(1, Duration::from_secs(10)).await.expect("a span");
        let marked = spans[0].attributes.get(THROUGHLINE_PARENT_EXPECTED).is_some();
        assert_eq!(marked, !is_excused);
        assert_eq!(recorder.check_no_orphans().is_ok(), is_excused);
    }
}
