//! Several messages in one call.

use aws_sdk_sqs::operation::send_message_batch::builders::SendMessageBatchFluentBuilder;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_sdk_sqs::types::builders::SendMessageBatchRequestEntryBuilder;
use serde_json::json;
use throughline_core::InContext;

use crate::common::{ELSEWHERE, Rig, attribute, header, text, users};
use crate::stub::refusal;

fn entry(id: &str) -> SendMessageBatchRequestEntryBuilder {
    SendMessageBatchRequestEntry::builder().id(id).message_body("a book")
}

fn batch(
    rig: &Rig,
    entries: impl IntoIterator<Item = SendMessageBatchRequestEntryBuilder>,
) -> SendMessageBatchFluentBuilder {
    let batch = rig.sqs.send_message_batch().queue_url(&rig.url);
    entries.into_iter().fold(batch, |batch, entry| batch.entries(entry.build().expect("an entry")))
}

/// The span that the entry of this number left with.
fn left(rig: &Rig, number: usize) -> String {
    let sent = rig.sent();
    let value = attribute(&sent["Entries"][number], "traceparent").expect("a traceparent");
    value.split('-').nth(2).expect("a span").to_owned()
}

#[tokio::test]
async fn each_entry_is_created_in_a_span_of_its_own_which_it_carries() {
    let rig = Rig::new().await;
    let context = rig.handler();
    let sending = batch(&rig, [entry("a"), entry("b")]).send();
    InContext::new(sending, context.clone()).await.expect("they are sent");
    drop(context);
    rig.assert_tree(
        "
        INTERNAL handler
          PRODUCER create orders {messaging.system.name=aws.sqs, messaging.operation.name=create, \
         messaging.operation.type=create, messaging.destination.name=orders, aws.sqs.queue.url=URL, \
         server.address=127.0.0.1, server.port=PORT, messaging.message.id=message-a}
          PRODUCER create orders {messaging.message.id=message-b}
          CLIENT send orders {messaging.operation.type=send, messaging.batch.message_count=2, \
         aws.request_id=request-1} ~(create orders) ~(create orders)
        ",
    );
    let spans = rig.recorder.spans();
    let created = |id: &str| {
        let id = format!("message-{id}");
        let is_it = |it: &&throughline_testing::lineage::Span| {
            it.attributes.get_str("messaging.message.id") == Some(&id)
        };
        spans.iter().find(is_it).expect("a span").span_id.to_string()
    };
    assert_eq!([left(&rig, 0), left(&rig, 1)], [created("a"), created("b")]);
}

#[tokio::test]
async fn an_entry_that_is_refused_is_an_error_and_the_others_are_not() {
    let rig = Rig::answering(|_| async {
        let sent = json!({"Id": "a", "MessageId": "message-a", "MD5OfMessageBody": "0"});
        let failed =
            json!({"Id": "b", "Code": "InternalError", "SenderFault": false, "Message": "sorry"});
        (200, json!({"Successful": [sent], "Failed": [failed]}).to_string())
    });
    let rig = rig.await;
    // Of the last one nothing is said.
    let sending = batch(&rig, [entry("a"), entry("b"), entry("c")]).send();
    sending.await.expect("an answer of 200");
    rig.assert_tree(
        "
        PRODUCER create orders {messaging.message.id=message-a}
        PRODUCER create orders !error(sorry) {error.type=InternalError}
        PRODUCER create orders !error {error.type=_OTHER}
        CLIENT send orders !error(1 of 3 refused: b: InternalError) {error.type=InternalError} \
         ~(create orders) ~(create orders) ~(create orders)
        ",
    );
}

#[tokio::test]
async fn several_reasons_are_none_of_them() {
    let rig = Rig::answering(|_| async {
        let failed = ["InternalError", "Throttled"]
            .map(|code| json!({"Id": code, "Code": code, "SenderFault": false}));
        (200, json!({"Successful": [], "Failed": failed}).to_string())
    });
    let rig = rig.await;
    batch(&rig, [entry("InternalError"), entry("Throttled")]).send().await.expect("an answer");
    rig.assert_tree(
        "
        PRODUCER create orders !error {error.type=InternalError}
        PRODUCER create orders !error {error.type=Throttled}
        CLIENT send orders !error(2 of 2 refused: InternalError: InternalError, \
         Throttled: Throttled) {error.type=_OTHER} ~(create orders) ~(create orders)
        ",
    );
}

#[tokio::test]
async fn a_call_that_fails_fails_all_entries() {
    let rig = Rig::answering(|_| async { refusal(400, "QueueDoesNotExist") }).await;
    batch(&rig, [entry("a")]).send().await.expect_err("it is refused");
    rig.assert_tree(
        "
        PRODUCER create orders !error(it was refused) {error.type=QueueDoesNotExist}
        CLIENT send orders !error(it was refused) {error.type=QueueDoesNotExist} ~(create orders)
        ",
    );
}

#[tokio::test]
async fn a_batch_that_is_dropped_is_cancelled_with_all_entries() {
    let rig = Rig::answering(|_| std::future::pending()).await;
    let sending = batch(&rig, [entry("a")]).send();
    let deadline = std::time::Duration::from_millis(100);
    tokio::time::timeout(deadline, sending).await.expect_err("nobody answers");
    rig.assert_tree(
        "
        PRODUCER create orders {error.type=cancelled}
        CLIENT send orders {error.type=cancelled} ~(create orders)
        ",
    );
}

#[tokio::test]
async fn an_entry_that_was_created_elsewhere_keeps_its_context_and_has_no_span() {
    let rig = Rig::new().await;
    let elsewhere = entry("b").message_attributes("traceparent", text(ELSEWHERE));
    batch(&rig, [entry("a"), elsewhere]).send().await.expect("they are sent");
    let sent = rig.sent();
    assert_eq!(attribute(&sent["Entries"][1], "traceparent"), Some(ELSEWHERE));
    rig.assert_tree(
        "
        PRODUCER create orders {messaging.message.id=message-a}
        CLIENT send orders ~(create orders) ~(elsewhere)
        ",
    );
}

#[tokio::test]
async fn without_spans_of_their_own_entries_carry_that_of_the_batch() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.create_spans(false));
    batch(&rig, [entry("a"), entry("b")]).send().await.expect("they are sent");
    rig.assert_tree("PRODUCER send orders {messaging.batch.message_count=2}");
    let span = rig.recorder.spans()[0].span_id.to_string();
    assert_eq!([left(&rig, 0), left(&rig, 1)], [span.clone(), span]);
}

#[tokio::test]
async fn in_an_unsampled_trace_each_entry_is_a_message_of_its_own() {
    let rig = Rig::new().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".to_owned();
    let config = throughline_core::Config::new("test", "1");
    let context = config.extract(&vec![("traceparent".to_owned(), parent)]).context().clone();
    let sending = batch(&rig, [entry("a"), entry("b")]).send();
    InContext::new(sending, context).await.expect("they are sent");
    rig.assert_tree("");
    assert_ne!(left(&rig, 0), left(&rig, 1));
}

#[tokio::test]
async fn each_entry_has_a_budget_of_its_own() {
    let rig = Rig::new().await;
    let full = entry("b").set_message_attributes(Some(users(10)));
    batch(&rig, [entry("a"), full]).send().await.expect("they are sent");
    let sent = rig.sent();
    assert!(attribute(&sent["Entries"][0], "traceparent").is_some());
    assert_eq!(header(&sent["Entries"][0]), None);
    assert_eq!(attribute(&sent["Entries"][1], "traceparent"), None);
    assert!(header(&sent["Entries"][1]).is_some());
}

#[tokio::test]
async fn no_entry_makes_the_batch_too_long() {
    let rig = Rig::new().await;
    // Each has room for itself: together they are a byte too long for a second context.
    let (half, context) = ((1 << 19) - 72, "traceparent".len() + "String".len() + 55);
    let bodies = [half, half + 2 * 72 - 2 * context + 1].map(|length| "x".repeat(length));
    let entries = ["a", "b"].into_iter().zip(bodies);
    let entries = entries.map(|(id, body)| entry(id).message_body(body));
    batch(&rig, entries).send().await.expect("they are sent");
    let sent = rig.sent();
    assert!(attribute(&sent["Entries"][0], "traceparent").is_some());
    assert_eq!(attribute(&sent["Entries"][1], "traceparent"), None);
    assert!(header(&sent["Entries"][1]).is_some());
}

/// What a queue takes of one message says nothing of a batch.
#[tokio::test]
async fn the_limit_of_a_message_is_none_of_the_batch() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.max_message_size(1024));
    let ids: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let entries = ids.iter().map(|id| entry(id).message_body("x".repeat(90)));
    batch(&rig, entries).send().await.expect("they are sent");
    let sent = rig.sent();
    let entries = sent["Entries"].as_array().expect("a list");
    let with = entries.iter().filter(|it| attribute(it, "traceparent").is_some()).count();
    assert_eq!(with, 10);
}

/// Each message goes on in the trace that it was created in. Who relays them is in none of them: where
/// nothing is current, its span is a root on purpose.
#[tokio::test]
async fn an_outbox_that_is_relayed_is_no_orphan() {
    let created = || {
        let contexts = [ELSEWHERE.to_owned(), ELSEWHERE.replace("2222", "3333")];
        let entries = ["a", "b"].into_iter().zip(contexts);
        entries.map(|(id, it)| entry(id).message_attributes("traceparent", text(&it)))
    };
    let rig = Rig::new().await;
    batch(&rig, created()).send().await.expect("they are sent");
    rig.assert_tree("CLIENT send orders {throughline.root=send} ~(elsewhere) ~(elsewhere)");
    rig.recorder.assert_no_orphans();

    rig.recorder.clear();
    let context = rig.handler();
    InContext::new(batch(&rig, created()).send(), context.clone()).await.expect("they are sent");
    drop(context);
    rig.assert_tree("INTERNAL handler\n  CLIENT send orders ~(elsewhere) ~(elsewhere)");
    let spans = rig.recorder.spans();
    assert!(spans.iter().all(|it| it.attributes.get("throughline.root").is_none()), "{spans:?}");

    // Where something is created here, the context is lost: nobody meant that.
    rig.recorder.clear();
    batch(&rig, created().chain([entry("c")])).send().await.expect("they are sent");
    let spans = rig.recorder.spans();
    assert!(spans.iter().all(|it| it.attributes.get("throughline.root").is_none()), "{spans:?}");
}
