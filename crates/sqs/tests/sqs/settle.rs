//! Messages that are settled.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use serde_json::json;
use throughline_core::InContext;

use crate::common::Rig;
use crate::stub::refusal;

#[tokio::test]
async fn one_is_a_client_span_under_what_is_current() {
    let rig = Rig::answering(|_| async { (200, "{}".to_owned()) }).await;
    let context = rig.handler();
    let settling = async {
        let delete = rig.sqs.delete_message().queue_url(&rig.url).receipt_handle("handle");
        delete.send().await.expect("it is deleted");
        let change = rig.sqs.change_message_visibility().queue_url(&rig.url).receipt_handle("h");
        change.visibility_timeout(0).send().await.expect("it is given back");
    };
    InContext::new(settling, context.clone()).await;
    drop(context);
    rig.assert_tree(
        "
        INTERNAL handler
          CLIENT delete orders {messaging.system.name=aws.sqs, messaging.operation.name=delete, \
         messaging.operation.type=settle, messaging.destination.name=orders, aws.sqs.queue.url=URL, \
         server.address=127.0.0.1, server.port=PORT, aws.request_id=request-1}
          CLIENT change_visibility orders {messaging.operation.name=change_visibility, \
         messaging.operation.type=settle}
        ",
    );
}

#[tokio::test]
async fn nothing_current_is_no_break() {
    let rig = Rig::answering(|_| async { (200, "{}".to_owned()) }).await;
    let delete = rig.sqs.delete_message().queue_url(&rig.url).receipt_handle("handle");
    delete.send().await.expect("it is deleted");
    rig.recorder.assert_no_orphans();
}

#[tokio::test]
async fn a_refusal_is_an_error() {
    let rig = Rig::answering(|_| async { refusal(400, "ReceiptHandleIsInvalid") }).await;
    let delete = rig.sqs.delete_message().queue_url(&rig.url).receipt_handle("handle");
    delete.send().await.expect_err("it is refused");
    let change = rig.sqs.change_message_visibility().queue_url(&rig.url).receipt_handle("h");
    change.visibility_timeout(0).send().await.expect_err("it is refused");
    rig.assert_tree(
        "
        CLIENT delete orders !error {error.type=ReceiptHandleIsInvalid}
        CLIENT change_visibility orders !error {error.type=ReceiptHandleIsInvalid}
        ",
    );
}

#[tokio::test]
async fn a_batch_is_an_error_if_an_entry_is_refused() {
    let rig = Rig::answering(|_| async {
        let failed = json!({"Id": "b", "Code": "ReceiptHandleIsInvalid", "SenderFault": true});
        (200, json!({"Successful": [{"Id": "a"}], "Failed": [failed]}).to_string())
    });
    let rig = rig.await;
    let (mut delete, mut change) = (
        rig.sqs.delete_message_batch().queue_url(&rig.url),
        rig.sqs.change_message_visibility_batch().queue_url(&rig.url),
    );
    for id in ["a", "b"] {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle("handle");
        delete = delete.entries(entry.build().expect("an entry"));
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
        let entry = entry.receipt_handle("handle").visibility_timeout(0).build();
        change = change.entries(entry.expect("an entry"));
    }
    delete.send().await.expect("an answer of 200");
    change.send().await.expect("an answer of 200");
    rig.assert_tree(
        "
        CLIENT delete orders !error(1 of 2 refused: b: ReceiptHandleIsInvalid) \
         {messaging.batch.message_count=2, error.type=ReceiptHandleIsInvalid}
        CLIENT change_visibility orders !error(1 of 2 refused: b: ReceiptHandleIsInvalid) \
         {messaging.batch.message_count=2, error.type=ReceiptHandleIsInvalid}
        ",
    );
}
