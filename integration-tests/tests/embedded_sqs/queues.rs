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

#[tokio::test]
async fn a_queue_tells_its_attributes_and_changes_them() {
    let rig = Rig::new();
    let name = name();
    let queue = rig.create(&name, &[(Name::DelaySeconds, "7")]).await.expect("a queue");
    let get = async |names: &[Name]| {
        let asked = rig.client.get_queue_attributes().queue_url(&queue);
        let asked = asked.set_attribute_names(Some(names.to_vec())).send().await;
        asked.expect("an answer").attributes.unwrap_or_default()
    };
    let all = get(&[Name::All]).await;
    let expected = [
        (Name::VisibilityTimeout, "30"),
        (Name::DelaySeconds, "7"),
        (Name::ReceiveMessageWaitTimeSeconds, "0"),
        (Name::ApproximateNumberOfMessages, "0"),
        (Name::ApproximateNumberOfMessagesNotVisible, "0"),
        (Name::ApproximateNumberOfMessagesDelayed, "0"),
    ];
    for (name, value) in expected {
        assert_eq!(all[&name], value, "{name}");
    }
    let limits = [all.get(&Name::MessageRetentionPeriod), all.get(&Name::MaximumMessageSize)];
    let limits = limits.map(|limit| limit.map(String::as_str));
    let row = "`MessageRetentionPeriod` and `MaximumMessageSize` among the attributes of a queue";
    assert_eq!(limits, rig.differs(row, [Some("345600"), Some("1048576")], [None, None]));
    assert!(all[&Name::CreatedTimestamp].parse::<u64>().expect("seconds") > 1_700_000_000);
    assert!(all[&Name::QueueArn].starts_with("arn:aws:sqs:"), "{all:?}");
    assert!(all[&Name::QueueArn].ends_with(&format!(":000000000000:{name}")), "{all:?}");
    assert_eq!(all.get(&Name::RedrivePolicy), None);
    assert_eq!(get(&[]).await.len(), 0);
    assert_eq!(get(&[Name::DelaySeconds]).await.len(), 1);

    let change = rig.client.set_queue_attributes().queue_url(&queue);
    let changed = change.attributes(Name::VisibilityTimeout, "9").send().await;
    changed.expect("it is changed");
    let some = get(&[Name::VisibilityTimeout, Name::DelaySeconds]).await;
    assert_eq!((&*some[&Name::VisibilityTimeout], &*some[&Name::DelaySeconds]), ("9", "7"));
}

#[tokio::test]
async fn an_attribute_of_a_queue_has_its_bounds() {
    let rig = Rig::new();
    let bounds = [
        (
            Name::VisibilityTimeout,
            "0",
            "43200",
            ["-1", "43201"],
            "visibility timeouts above 12 hours or below 0",
        ),
        (Name::DelaySeconds, "0", "900", ["-1", "901"], "bounds of a queue's attributes"),
        (
            Name::MessageRetentionPeriod,
            "60",
            "1209600",
            ["59", "1209601"],
            "bounds of a queue's attributes",
        ),
        (Name::MaximumMessageSize, "1024", "1048576", ["1023", "1048577"], "`MaximumMessageSize`"),
    ];
    let refusal = || Err("InvalidAttributeValue".to_owned());
    let create = async |attribute: &Name, value: &str| {
        rig.create(&name(), &[(attribute.clone(), value)]).await.map(drop)
    };
    for (attribute, least, most, wrong, row) in bounds {
        for good in [least, most] {
            assert_eq!(create(&attribute, good).await, Ok(()), "{attribute} of {good}");
        }
        for wrong in wrong {
            let created = create(&attribute, wrong).await;
            assert_eq!(created, rig.differs(row, refusal(), Ok(())), "{attribute} of {wrong}");
        }
    }
    let wait = Name::ReceiveMessageWaitTimeSeconds;
    for (good, expected) in [("20", Ok(())), ("0", Ok(())), ("21", refusal()), ("-1", refusal())] {
        assert_eq!(create(&wait, good).await, expected, "{good}");
    }
    let no_number = Err("InvalidParameterValue".to_owned());
    let no_number = rig.differs("values that are no numbers", refusal(), no_number);
    assert_eq!(create(&Name::VisibilityTimeout, "soon").await, no_number);
    let row = "unknown names of attributes";
    let unknown = Err("InvalidAttributeName".to_owned());
    assert_eq!(create(&"Unheard".into(), "1").await, rig.differs(row, unknown.clone(), Ok(())));
    let deduplication = create(&Name::ContentBasedDeduplication, "true").await;
    let row = "attributes of FIFO queues on others";
    assert_eq!(deduplication, rig.differs(row, unknown.clone(), Ok(())));

    // Of several that are to change, all do or none.
    let queue = rig.queue(&[]).await;
    let change = rig.client.set_queue_attributes().queue_url(&queue);
    let change = change.attributes(Name::DelaySeconds, "1").attributes("Unheard".into(), "1");
    assert_eq!(refused(change.send().await), "InvalidAttributeName");
    let asked = rig.client.get_queue_attributes().queue_url(&queue);
    let asked = asked.attribute_names("Unheard".into()).send().await.map(drop);
    let expected = rig.differs("unknown names of attributes", "InvalidAttributeName", "nothing");
    assert_eq!(refused(asked), expected);
    let delay = rig.attribute(&queue, Name::DelaySeconds).await;
    assert_eq!(delay, rig.differs("a change that is refused", "0", "1"));
}

#[tokio::test]
async fn the_name_of_a_queue_has_its_grammar() {
    let rig = Rig::new();
    let prefix = name();
    let longest = format!("{prefix}{}", "x".repeat(80 - prefix.len()));
    for good in [format!("{prefix}-a_B9"), longest.clone()] {
        assert!(rig.create(&good, &[]).await.is_ok(), "{good}");
    }
    let row = "codes of refused names of queues";
    let expected = rig.differs(row, "InvalidParameterValue", "InvalidAttributeName");
    for wrong in ["", "two words", "a.b", "ä", &format!("{longest}x")] {
        assert_eq!(rig.create(wrong, &[]).await, Err(expected.to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn queues_are_listed_by_their_beginning_and_in_pages() {
    let rig = Rig::new();
    let prefix = format!("{}-listed", name());
    for number in 0..3 {
        rig.create(&format!("{prefix}-{number}"), &[]).await.expect("a queue");
    }
    let list = || rig.client.list_queues().queue_name_prefix(&prefix);
    let all = list().send().await.expect("an answer");
    assert_eq!((all.queue_urls().len(), all.next_token()), (3, None));
    assert!(all.queue_urls().iter().all(|url| url.contains(&prefix)), "{all:?}");
    let first = list().max_results(2).send().await.expect("an answer");
    let row = "`MaxResults` and `NextToken` of `ListQueues`";
    assert_eq!(first.queue_urls().len(), rig.differs(row, 2, 3));
    if let Some(token) = first.next_token() {
        let second = list().max_results(2).next_token(token).send().await.expect("an answer");
        assert_eq!((second.queue_urls().len(), second.next_token()), (1, None));
        assert!(!first.queue_urls().contains(&second.queue_urls()[0]));
    }
    assert_eq!(first.next_token().is_some(), rig.differs(row, true, false));
    for wrong in [0, 1001] {
        let refusal = refused(list().max_results(wrong).send().await);
        assert_eq!(refusal, rig.differs(row, "InvalidParameterValue", "nothing"));
    }
}

#[tokio::test]
async fn a_purged_queue_is_empty_and_a_deleted_one_gone_for_a_minute() {
    let rig = Rig::new();
    let name = name();
    let queue = rig.create(&name, &[]).await.expect("a queue");
    for body in ["in flight", "visible"] {
        rig.send(&queue, body).await;
    }
    let asked = rig.client.receive_message().queue_url(&queue).send().await;
    asked.expect("an answer");
    let purge = async || refused(rig.client.purge_queue().queue_url(&queue).send().await);
    assert_eq!(purge().await, "nothing");
    assert_eq!(rig.counts(&queue).await, ["0", "0", "0"]);
    let again = purge().await;
    assert_eq!(
        again,
        rig.differs("a second purge within 60 seconds", "PurgeQueueInProgress", "nothing")
    );
    rig.client.delete_queue().queue_url(&queue).send().await.expect("it is deleted");
    let again = rig.create(&name, &[]).await.map(drop);
    let refusal = Err("QueueDeletedRecently".to_owned());
    assert_eq!(again, rig.differs("a queue of a name deleted within 60 seconds", refusal, Ok(())));
}
