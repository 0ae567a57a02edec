//! Each kind of call, and each way it can end.

use std::time::Duration;

use throughline_tonic::boundary;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

use crate::echo::text;
use crate::rig::Rig;

fn said(texts: &[&str]) -> Vec<crate::echo::Text> {
    texts.iter().map(|it| text(it)).collect()
}

#[tokio::test]
async fn a_unary_call() {
    let mut rig = Rig::new().await;
    let answer = rig.client.unary(Request::new(text("hello"))).await.expect("an answer");
    assert_eq!(answer.into_inner().text, "hello");
    let port = rig.port;
    rig.assert_tree(&format!(
        "CLIENT test.v1.Echo/Unary {{rpc.system.name=grpc, rpc.method=test.v1.Echo/Unary, \
         server.address=127.0.0.1, server.port={port}, rpc.status_code=OK}}\n  \
         SERVER test.v1.Echo/Unary {{rpc.system.name=grpc, rpc.method=test.v1.Echo/Unary, \
         network.protocol.version=2, server.address=127.0.0.1, server.port={port}, \
         client.address=127.0.0.1, network.peer.address=127.0.0.1, rpc.status_code=OK}}"
    ))
    .await;
    let trace = rig.recorder.spans()[0].trace_id.to_string();
    let ran_in = rig.echo.ran_in.lock().expect("a lock").clone();
    assert_eq!(ran_in.iter().map(ToString::to_string).collect::<Vec<_>>(), [trace]);
}

#[tokio::test]
async fn streams_of_each_direction_last_to_their_end() {
    let mut rig = Rig::new().await;
    let answer = rig.client.server_stream(text("a")).await.expect("an answer");
    // The server may have sent all of it by now; the client has read nothing.
    let open = rig.recorder.open_spans();
    assert!(open.iter().any(|span| span.parent.is_none()), "{open:#?}");
    assert_eq!(answer.into_inner().collect::<Vec<_>>().await.len(), 3);
    rig.assert_tree(
        "CLIENT test.v1.Echo/ServerStream {rpc.status_code=OK}\n  \
         SERVER test.v1.Echo/ServerStream {rpc.status_code=OK}",
    )
    .await;
    rig.recorder.clear();

    let answer = rig.client.client_stream(said(&["a", "b", "c"])).await.expect("an answer");
    assert_eq!(answer.into_inner().text, "abc");
    rig.assert_tree(
        "CLIENT test.v1.Echo/ClientStream {rpc.status_code=OK}\n  \
         SERVER test.v1.Echo/ClientStream {rpc.status_code=OK}",
    )
    .await;
    rig.recorder.clear();

    let answer = rig.client.both_stream(said(&["a", "b"])).await.expect("an answer");
    assert_eq!(answer.into_inner().collect::<Vec<_>>().await.len(), 2);
    rig.assert_tree(
        "CLIENT test.v1.Echo/BothStream {rpc.status_code=OK}\n  \
         SERVER test.v1.Echo/BothStream {rpc.status_code=OK}",
    )
    .await;
    // Streams that the client sends are read within the context of the call, too.
    let ran_in = rig.echo.ran_in.lock().expect("a lock").clone();
    assert!(ran_in.iter().all(|trace| trace.to_bytes() != [0; 16]), "{ran_in:?}");
}

#[tokio::test]
async fn what_is_the_callers_fault_is_no_error_of_the_server() {
    let mut rig = Rig::new().await;
    let status = rig.client.unary(Request::new(text("fail:5:no such order"))).await;
    assert_eq!(status.expect_err("as told").code(), Code::NotFound);
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {rpc.status_code=NOT_FOUND, error.type=NOT_FOUND} !error(no such order)\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=NOT_FOUND}",
    )
    .await;
    rig.recorder.clear();
    let status = rig.client.unary(Request::new(text("fail:13:it broke"))).await;
    assert_eq!(status.expect_err("as told").code(), Code::Internal);
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {rpc.status_code=INTERNAL} !error(it broke)\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=INTERNAL, error.type=INTERNAL} !error(it broke)",
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_fails_half_way_says_so_in_its_trailers() {
    let mut rig = Rig::new().await;
    let answer = rig.client.server_stream(text("fail:14:later")).await.expect("an answer");
    let texts: Vec<_> = answer.into_inner().collect().await;
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[2].as_ref().expect_err("as told").code(), Code::Unavailable);
    rig.assert_tree(
        "CLIENT test.v1.Echo/ServerStream {rpc.status_code=UNAVAILABLE} !error(later)\n  \
         SERVER test.v1.Echo/ServerStream {rpc.status_code=UNAVAILABLE} !error(later)",
    )
    .await;
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_both_sides() {
    let mut rig = Rig::new().await;
    tokio::select! {
        _ = rig.client.unary(Request::new(text("hang"))) => panic!("nobody answers"),
        () = rig.echo.hangs.notified() => {}
    }
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=cancelled}\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=CANCELLED, error.type=cancelled}",
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_cancels_both_sides() {
    let mut rig = Rig::new().await;
    let answer = rig.client.server_stream(text("hang")).await.expect("an answer");
    let mut texts = answer.into_inner();
    assert!(texts.message().await.expect("no error").is_some());
    drop(texts);
    rig.assert_tree(
        "CLIENT test.v1.Echo/ServerStream {rpc.status_code=CANCELLED, error.type=cancelled}\n  \
         SERVER test.v1.Echo/ServerStream {rpc.status_code=CANCELLED, error.type=cancelled}",
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_panics() {
    let mut rig = Rig::new().await;
    rig.client.unary(Request::new(text("panic"))).await.expect_err("it panicked");
    // The connection breaks off with it.
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {error.type=tonic::transport::error::Error} !error\n  \
         SERVER test.v1.Echo/Unary {error.type=panic} !error(the handler panicked)",
    )
    .await;
    let spans = rig.recorder.spans();
    let server = spans.iter().find(|span| span.parent.is_some()).expect("the server's span");
    assert_eq!(server.attributes.get_str("rpc.status_code"), None);
}

#[tokio::test]
async fn a_method_that_nobody_has_names_nothing() {
    let mut rig = Rig::with(|layer| layer, |server| server).await;
    let call = rig.client.unary_of("/test.v1.Echo/Absent", Request::new(text("a"))).await;
    assert_eq!(call.expect_err("no such method").code(), Code::Unimplemented);
    rig.assert_tree(
        "CLIENT test.v1.Echo/Absent {rpc.status_code=UNIMPLEMENTED} !error\n  \
         SERVER grpc {rpc.method=_OTHER, rpc.method_original=test.v1.Echo/Absent, \
         rpc.status_code=UNIMPLEMENTED} !error",
    )
    .await;
}

/// Nobody has said which methods there are.
#[tokio::test]
async fn a_method_is_known_by_its_answer_and_not_by_whoever_keeps_it_from_answering() {
    let mut rig = Rig::with(|layer| layer, |server| server).await;
    let method = "/test.v1.Echo/Learnt";
    let other = "rpc.method=_OTHER, rpc.method_original=test.v1.Echo/Learnt";
    for (said, name, method_is) in [
        ("fail:16:who are you", "grpc", other),
        ("hello", "test.v1.Echo/Learnt", "rpc.method=test.v1.Echo/Learnt"),
        ("fail:16:who are you", "test.v1.Echo/Learnt", "rpc.method=test.v1.Echo/Learnt"),
    ] {
        rig.recorder.clear();
        drop(rig.client.unary_of(method, Request::new(text(said))).await);
        rig.recorder.wait_all_ended(Duration::from_secs(10)).await.expect("an end");
        let spans = rig.recorder.spans();
        let server = spans.iter().find(|span| span.parent.is_some()).expect("the server's span");
        assert_eq!(server.name, name, "{said}");
        let keys = ["rpc.method", "rpc.method_original"];
        let told = keys.map(|key| server.attributes.get_str(key).map(|it| format!("{key}={it}")));
        let told: Vec<_> = told.into_iter().flatten().collect();
        assert_eq!(told.join(", "), method_is, "{said}");
    }
}

#[tokio::test]
async fn methods_may_be_named() {
    let named =
        |layer: throughline_tonic::ServerLayer| layer.methods(["test.v1.Echo/ServerStream"]);
    let mut rig = Rig::with(named, |server| server).await;
    drop(rig.client.unary(Request::new(text("a"))).await);
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary\n  \
         SERVER grpc {rpc.method=_OTHER, rpc.method_original=test.v1.Echo/Unary}",
    )
    .await;
}

#[tokio::test]
async fn a_handler_reaches_its_span_and_metadata_are_recorded_by_name() {
    let told = |layer: throughline_tonic::ServerLayer| {
        layer
            .capture_request_headers([http::HeaderName::from_static("x-tenant")])
            .on_request(|span, _| span.set_attribute("asked", true))
    };
    let mut rig = Rig::with(told, |server| server).await;
    let mut request = Request::new(text("a"));
    request.metadata_mut().insert("x-tenant", "acme".parse().expect("a value"));
    rig.client.unary(request).await.expect("an answer");
    rig.recorder.wait_all_ended(Duration::from_secs(10)).await.expect("an end");
    let spans = rig.recorder.spans();
    let server = spans.iter().find(|span| span.parent.is_some()).expect("the server's span");
    let said = format!("{:?}", server.attributes);
    assert!(said.contains("rpc.request.header.x-tenant") && said.contains("asked"), "{said}");
    assert!(!boundary().is_recording());
}

#[tokio::test]
async fn health_checks_need_no_parent() {
    let mut rig = Rig::with(|layer| layer.expect_parent(true), |server| server).await;
    rig.client.0 = tonic::client::Grpc::new(rig.untraced());
    for (method, expected) in
        [("/grpc.health.v1.Health/Check", false), ("/test.v1.Echo/Unary", true)]
    {
        rig.recorder.clear();
        drop(rig.client.unary_of(method, Request::new(text("a"))).await);
        rig.recorder.wait_for(1, Duration::from_secs(10)).await.expect("a span");
        let spans = rig.recorder.spans();
        let said = format!("{:?}", spans[0].attributes);
        assert_eq!(said.contains("throughline.parent.expected"), expected, "{said}");
    }
}

#[tokio::test]
async fn interceptors_carry_the_context_and_make_no_spans() {
    use opentelemetry::trace::TraceContextExt;
    use throughline_core::W3cPropagator;
    use throughline_tonic::interceptor::{Extracted, extract, inject};

    opentelemetry::global::set_text_map_propagator(W3cPropagator::new());
    let caller = opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from(7),
        opentelemetry::trace::SpanId::from(8),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::NONE,
    );
    let current = opentelemetry::Context::new().with_remote_span_context(caller.clone());
    let sent = {
        let _attached = current.attach();
        inject(Request::new(())).expect("never an error")
    };
    let came = extract(sent).expect("never an error");
    assert_eq!(Extracted::of(&came).span().span_context().trace_id(), caller.trace_id());
    assert!(!Extracted::of(&Request::new(())).has_active_span());
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_of_the_channel() {
    let mut rig = Rig::new().await;
    rig.client.0 = tonic::client::Grpc::new(rig.channel_to(nobody().await));
    rig.client.unary(Request::new(text("a"))).await.expect_err("nobody listens");
    rig.assert_tree("CLIENT test.v1.Echo/Unary {error.type=tonic::transport::error::Error} !error")
        .await;
}

/// A port that nobody listens at.
async fn nobody() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_handler_says_why_it_failed() {
    let mut rig = Rig::new().await;
    rig.client.unary(Request::new(text("explain"))).await.expect_err("as told");
    rig.assert_tree(
        "CLIENT test.v1.Echo/Unary {error.type=INTERNAL} !error(sorry)\n  \
         SERVER test.v1.Echo/Unary {rpc.status_code=INTERNAL, error.type=std::io::error::Error} !error(the disk is full)",
    )
    .await;
}

#[tokio::test]
async fn calls_are_measured_on_both_sides() {
    let mut rig = Rig::new().await;
    for told in ["hello", "again", "fail:5:no such order"] {
        drop(rig.client.unary(Request::new(text(told))).await);
    }
    let stream = rig.client.server_stream(text("a")).await.expect("an answer").into_inner();
    assert!(rig.kept.of("rpc.client.call.duration").iter().all(|it| !it.contains("Stream")));
    assert_eq!(stream.collect::<Vec<_>>().await.len(), 3);
    rig.recorder.wait_all_ended(Duration::from_secs(10)).await.expect("an end");
    let calls = |error: &str, server: &str| {
        let call = |error: &str, method, code, count| {
            format!(
                "{error}rpc.method=test.v1.Echo/{method} rpc.status_code={code} \
                 rpc.system.name=grpc{server}: {count}"
            )
        };
        let mut all = vec![
            call(error, "Unary", "NOT_FOUND", 1),
            call("", "ServerStream", "OK", 1),
            call("", "Unary", "OK", 2),
        ];
        all.sort();
        all
    };
    let address = format!(" server.address=127.0.0.1 server.port={}", rig.port);
    let sent = calls("error.type=NOT_FOUND ", &address);
    assert_eq!(rig.kept.of("rpc.client.call.duration"), sent);
    // What is the caller's fault is none of the server's.
    assert_eq!(rig.kept.of("rpc.server.call.duration"), calls("", ""));
}
