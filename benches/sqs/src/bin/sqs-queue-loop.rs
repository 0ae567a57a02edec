//! The baseline: a loop that receives ten messages, handles them, and deletes them together.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use harness::{Expect, sqs};
use std::process::ExitCode;

async fn round(client: &Client) -> u64 {
    let request = client.receive_message().queue_url(sqs::QUEUE).max_number_of_messages(10);
    let request = request.message_attribute_names("All").wait_time_seconds(20);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
    let received = request.send().await.expect("the canned answer can't fail");
    let mut entries = Vec::with_capacity(10);
    for (id, message) in received.messages.unwrap_or_default().into_iter().enumerate() {
        let handled = async { sqs::handle(message.body().unwrap_or_default()) };
        handled.await;
        let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
        let entry = entry.set_receipt_handle(message.receipt_handle);
        entries.push(entry.build().expect("nothing is missing"));
    }
    let messages = entries.len() as u64;
    let request = client.delete_message_batch().queue_url(sqs::QUEUE).set_entries(Some(entries));
    request.send().await.expect("the canned answer can't fail");
    messages
}

fn main() -> ExitCode {
    sqs::consume(
        Expect::Nothing,
        |config, _| Client::from_conf(config.build()),
        async |client, messages| {
            let mut done = 0;
            while done < messages {
                done += round(client).await;
            }
        },
    )
}
