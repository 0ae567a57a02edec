//! Queues and their attributes.

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::common::{Rig, name, refused};

#[tokio::test]
async fn a_queue_is_created_once_and_found_by_its_name() {
    let rig = Rig::new();
    let name = name();
    let url = rig.create(&name, &[(Name::VisibilityTimeout, "7")]).await.expect("a queue");
    assert!(url.ends_with(&format!("/000000000000/{name}")), "{url}");
    assert_eq!(rig.create(&name, &[(Name::VisibilityTimeout, "7")]).await, Ok(url.clone()));
    assert_eq!(rig.create(&name, &[]).await, Ok(url.clone()));
    let other = rig.create(&name, &[(Name::VisibilityTimeout, "8")]).await;
    assert_eq!(other, Err("QueueNameExists".to_owned()));
    let found = rig.client.get_queue_url().queue_name(&name).send().await.expect("an answer");
    assert_eq!(found.queue_url(), Some(&*url));
    let none = rig.client.get_queue_url().queue_name(format!("{name}-x")).send().await;
    assert_eq!(refused(none), "QueueDoesNotExist");
}

#[tokio::test]
async fn nothing_is_done_with_a_queue_that_is_not_there() {
    let rig = Rig::new();
    let queue = rig.queue(&[]).await;
    rig.client.delete_queue().queue_url(&queue).send().await.expect("it is deleted");
    let client = &rig.client;
    let none = "QueueDoesNotExist";
    assert_eq!(
        refused(client.send_message().queue_url(&queue).message_body("x").send().await),
        none
    );
    assert_eq!(refused(client.receive_message().queue_url(&queue).send().await), none);
    let deleted = client.delete_message().queue_url(&queue).receipt_handle("x").send().await;
    assert_eq!(refused(deleted), none);
    assert_eq!(refused(client.get_queue_attributes().queue_url(&queue).send().await), none);
    assert_eq!(refused(client.purge_queue().queue_url(&queue).send().await), none);
    assert_eq!(refused(client.delete_queue().queue_url(&queue).send().await), none);
}
