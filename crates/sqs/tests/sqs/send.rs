//! One message.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use aws_sdk_sqs::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use futures_util::FutureExt;
use opentelemetry::trace::SpanKind;
use throughline_core::{Config, Description, End, InContext};

use crate::common::{ELSEWHERE, PATIENCE, Rig, accept, attribute, interceptor, text};
use crate::stub::refusal;

/// Resolves every call to this.
#[derive(Debug)]
struct To(String);

impl ResolveEndpoint for To {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

fn send(rig: &Rig) -> aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder {
    rig.sqs.send_message().queue_url(&rig.url).message_body("a book")
}

#[tokio::test]
async fn a_message_is_a_child_of_what_is_current_and_carries_its_own_span() {
    let rig = Rig::new().await;
    let context = rig.handler();
    InContext::new(send(&rig).send(), context.clone()).await.expect("it is sent");
    drop(context);
    rig.assert_tree(
        "
        INTERNAL handler
          PRODUCER send orders {messaging.system.name=aws.sqs, messaging.operation.name=send, \
         messaging.operation.type=send, messaging.destination.name=orders, \
         aws.sqs.queue.url=URL, server.address=127.0.0.1, server.port=PORT, \
         messaging.message.id=message-1, aws.request_id=request-1}
        ",
    );
    let spans = rig.recorder.spans();
    let sent = spans.iter().find(|span| span.name == "send orders").expect("the span");
    let carried = format!("00-{}-{}-01", sent.trace_id, sent.span_id);
    let left = rig.sent();
    // The random flag is the SDK's affair.
    assert_eq!(attribute(&left, "traceparent").map(|it| &it[..53]), Some(&carried[..53]));
    assert_eq!(crate::common::added(&left), ["traceparent"]);
}

#[tokio::test]
async fn a_call_that_is_tried_again_is_one_span_and_one_context() {
    let tries = AtomicUsize::new(0);
    let rig = Rig::answering(move |asked| {
        let answer = match tries.fetch_add(1, SeqCst) {
            0 => refusal(500, "InternalError"),
            1 => refusal(503, "ServiceUnavailable"),
            _ => accept(&asked),
        };
        async move { answer }
    });
    let rig = rig.await;
    send(&rig).send().await.expect("it is sent at last");
    rig.assert_tree("PRODUCER send orders {messaging.message.id=message-1}");
    let asked = rig.stub.asked();
    let left: Vec<_> =
        asked.iter().map(|asked| attribute(&asked.input, "traceparent").expect("one")).collect();
    assert_eq!(left, [left[0]; 3]);
}

#[tokio::test]
async fn a_refusal_is_told_by_the_code_of_the_service() {
    let rig = Rig::answering(|_| async { refusal(400, "QueueDoesNotExist") }).await;
    send(&rig).send().await.expect_err("it is refused");
    rig.assert_tree(
        "PRODUCER send orders !error(it was refused) {error.type=QueueDoesNotExist, \
         aws.request_id=request-1}",
    );
}

#[tokio::test]
async fn an_answer_that_nobody_understands_is_an_error_of_a_name() {
    let rig = Rig::answering(|_| async { (200, "{".to_owned()) }).await;
    send(&rig).send().await.expect_err("it is no JSON");
    rig.assert_tree("PRODUCER send orders !error {error.type=_OTHER}");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_a_timeout() {
    let mut rig = Rig::answering(|_| std::future::pending()).await;
    let interceptor = interceptor(&rig.recorder);
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    rig.configured(|config| config.timeout_config(timeouts).interceptor(interceptor));
    send(&rig).send().await.expect_err("nobody answers");
    rig.assert_tree("PRODUCER send orders !error {error.type=timeout}");
}

#[tokio::test]
async fn a_service_that_is_away_is_told_by_how_it_failed() {
    let mut rig = Rig::new().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let interceptor = interceptor(&rig.recorder);
    rig.configured(|config| {
        let config = config.endpoint_url(address).retry_config(RetryConfig::disabled());
        config.interceptor(interceptor)
    });
    send(&rig).send().await.expect_err("nobody is there");
    rig.assert_tree("PRODUCER send orders !error {error.type=connect}");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let rig = Rig::answering(|_| std::future::pending()).await;
    let sending = tokio::time::timeout(Duration::from_millis(100), send(&rig).send());
    sending.await.expect_err("nobody answers");
    rig.recorder.wait_for(1, PATIENCE).await.expect("a span");
    rig.assert_tree("PRODUCER send orders {error.type=cancelled}");
}

#[tokio::test]
async fn a_call_that_is_never_polled_is_no_span() {
    let rig = Rig::new().await;
    drop(send(&rig).send());
    rig.assert_tree("");
}

#[tokio::test]
async fn its_parent_is_what_is_current_at_the_first_poll() {
    let rig = Rig::new().await;
    let (made, polled) = (rig.handler(), rig.handler());
    let sending = {
        let _current = made.clone().attach();
        send(&rig).send().boxed()
    };
    InContext::new(sending, polled.clone()).await.expect("it is sent");
    drop((made, polled));
    rig.assert_tree(
        "
        INTERNAL handler
        INTERNAL handler
          PRODUCER send orders
        ",
    );
}

#[tokio::test]
async fn registered_twice_for_the_client_and_once_more_for_a_call_it_is_one_span() {
    let mut rig = Rig::new().await;
    let interceptor = interceptor(&rig.recorder);
    let (first, second, third) = (interceptor.clone(), interceptor.clone(), interceptor);
    rig.configured(|config| config.interceptor(first).interceptor(second));
    let sending = send(&rig).customize().interceptor(third).send();
    sending.await.expect("it is sent");
    rig.assert_tree("PRODUCER send orders {messaging.message.id=message-1}");
    let spans = rig.recorder.spans();
    let left = rig.sent();
    assert!(
        attribute(&left, "traceparent")
            .is_some_and(|it| it.contains(&spans[0].span_id.to_string()))
    );
}

#[tokio::test]
async fn a_hook_that_fails_a_call_leaves_no_open_span() {
    use aws_sdk_sqs::config::interceptors::BeforeTransmitInterceptorContextMut;
    use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
    use aws_sdk_sqs::error::BoxError;

    #[derive(Debug)]
    struct Refuses;
    impl Intercept for Refuses {
        fn name(&self) -> &'static str {
            "refuses"
        }
        fn modify_before_signing(
            &self,
            _: &mut BeforeTransmitInterceptorContextMut<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            Err("not today".into())
        }
    }

    let rig = Rig::new().await;
    send(&rig).customize().interceptor(Refuses).send().await.expect_err("a hook refuses");
    rig.assert_tree("PRODUCER send orders !error {error.type=interceptor}");
}

#[tokio::test]
async fn other_calls_are_no_spans() {
    let rig = Rig::answering(|_| async { (200, "{}".to_owned()) }).await;
    rig.sqs.list_queues().send().await.expect("an answer");
    rig.sqs.purge_queue().queue_url(&rig.url).send().await.expect("an answer");
    rig.assert_tree("");
}

#[tokio::test]
async fn the_server_is_the_one_that_is_called_whatever_the_url_says() {
    let mut rig = Rig::new().await;
    let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
    let sending = rig.sqs.send_message().queue_url(url).message_body("a book");
    sending.send().await.expect("it is sent");
    rig.assert_tree("PRODUCER send orders {server.address=127.0.0.1, server.port=PORT}");
    rig.recorder.clear();
    // Where none was configured the URL says it.
    let (endpoint, interceptor) = (rig.stub.endpoint(), interceptor(&rig.recorder));
    rig.configured(|mut config| {
        config.set_endpoint_url(None);
        config.endpoint_resolver(To(endpoint)).interceptor(interceptor)
    });
    let sending = rig.sqs.send_message().queue_url(url).message_body("a book");
    sending.send().await.expect("it is sent");
    rig.assert_tree(
        "PRODUCER send orders {server.address=sqs.eu-central-1.amazonaws.com, server.port=443}",
    );
}

#[tokio::test]
async fn a_queue_without_a_url_is_the_sdks_affair() {
    let rig = Rig::new().await;
    drop(rig.sqs.send_message().message_body("a book").send().await);
    let spans = rig.recorder.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "send");
}

#[tokio::test]
async fn what_a_handler_forwards_is_replaced_and_what_was_created_is_not() {
    let rig = Rig::new().await;
    let came = "00-00000000000000000000000000000abc-2222222222222222-01".to_owned();
    let config = Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
    let extraction = config.extract(&vec![("traceparent".to_owned(), came.clone())]);
    let describe = || Description::new("handler", 0);
    let handler = config.receive(extraction, SpanKind::Consumer, describe);
    let created = came.replace("2222", "3333");
    for (traceparent, is_kept) in
        [(&*came, false), (&*created, true), (ELSEWHERE, true), ("nonsense", false)]
    {
        let sending = send(&rig)
            .message_attributes("traceparent", text(traceparent))
            .message_attributes("tracestate", text("stale=1"))
            .message_attributes("user-1", text("kept"));
        InContext::new(sending.send(), handler.context().clone()).await.expect("it is sent");
        let left = rig.sent();
        assert_eq!(attribute(&left, "traceparent") == Some(traceparent), is_kept, "{traceparent}");
        assert_eq!(attribute(&left, "tracestate").is_some(), is_kept, "{traceparent}");
        assert_eq!(attribute(&left, "user-1"), Some("kept"));
    }
    handler.end(End::Completed);
    rig.assert_tree(
        "
        CONSUMER handler
          PRODUCER send orders
          CLIENT send orders ~(elsewhere)
          CLIENT send orders ~(elsewhere)
          PRODUCER send orders
        ",
    );
}

#[tokio::test]
async fn what_an_outbox_kept_goes_on_in_its_own_trace_where_nothing_is_current() {
    let rig = Rig::new().await;
    let sending = send(&rig).message_attributes("traceparent", text(ELSEWHERE)).send();
    sending.await.expect("it is sent");
    assert_eq!(attribute(&rig.sent(), "traceparent"), Some(ELSEWHERE));
    rig.assert_tree("CLIENT send orders ~(elsewhere)");
    let span = &rig.recorder.spans()[0];
    let parent = span.parent.map(|parent| parent.to_string());
    assert_eq!(parent.as_deref(), Some("2222222222222222"));
    assert_eq!(span.trace_id.to_string(), "1".repeat(32));
}
