//! Many at once: nothing is lost, and nobody has what somebody else has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::Mutex;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};
use tokio::task::JoinSet;

use crate::common::{Rig, handle, soon};

const PRODUCERS: usize = 8;
const EACH: usize = 50;

/// What consumers have received, in order.
type Received = Arc<Mutex<Vec<(String, String)>>>;

/// Starts some tasks, each of which receives and deletes until all have received enough.
#[expect(clippy::disallowed_methods, reason = "they are of no trace")]
fn consume(rig: &Rig, queue: &str, received: &Received) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (client, queue, received) = (rig.client.clone(), queue.to_owned(), received.clone());
        tasks.spawn(async move {
            while received.lock().expect("nobody panicked").len() < PRODUCERS * EACH {
                let asked = client.receive_message().queue_url(&queue).max_number_of_messages(10);
                let asked = asked.wait_time_seconds(1);
                let asked = asked.message_system_attribute_names(System::MessageGroupId);
                let messages = asked.send().await.expect("an answer").messages.unwrap_or_default();
                for message in messages {
                    let attributes = message.attributes().into_iter().flatten();
                    let group = attributes.map(|(_, group)| group.clone()).next();
                    let body = message.body.clone().expect("a body");
                    let received_now = (group.unwrap_or_default(), body);
                    received.lock().expect("nobody panicked").push(received_now);
                    let deleted = client.delete_message().queue_url(&queue);
                    deleted.receipt_handle(handle(&message)).send().await.expect("it is deleted");
                }
            }
        });
    }
    tasks
}

#[expect(clippy::disallowed_methods, reason = "they are of no trace")]
fn produce(rig: &Rig, queue: &str, fifo: bool) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (client, queue) = (rig.client.clone(), queue.to_owned());
        tasks.spawn(async move {
            for number in 0..EACH {
                let body = format!("{producer} {number}");
                let mut sent = client.send_message().queue_url(&queue).message_body(&body);
                if fifo {
                    sent = sent.message_group_id(producer.to_string());
                    sent = sent.message_deduplication_id(body.replace(' ', "-"));
                }
                sent.send().await.expect("it is sent");
            }
        });
    }
    tasks
}

async fn run(rig: &Rig, queue: &str, fifo: bool) -> Vec<(String, String)> {
    let received = Received::default();
    let (producers, consumers) = (produce(rig, queue, fifo), consume(rig, queue, &received));
    soon("the end", async {
        producers.join_all().await;
        consumers.join_all().await;
    })
    .await;
    assert_eq!(rig.counts(queue).await, ["0", "0", "0"]);
    std::mem::take(&mut received.lock().expect("nobody panicked"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_twice() {
    let rig = Rig::new();
    let queue = rig.queue(&[(Name::VisibilityTimeout, "60")]).await;
    let received = run(&rig, &queue, false).await;
    let distinct: HashSet<_> = received.iter().collect();
    assert_eq!((received.len(), distinct.len()), (PRODUCERS * EACH, PRODUCERS * EACH));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_is_in_order_whoever_receives_it() {
    let rig = Rig::new();
    let queue = rig.fifo(&[(Name::VisibilityTimeout, "60")]).await;
    let received = run(&rig, &queue, true).await;
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for (group, body) in received {
        groups.entry(group).or_default().push(body);
    }
    assert_eq!(groups.len(), PRODUCERS);
    for (producer, bodies) in groups {
        let expected: Vec<_> = (0..EACH).map(|number| format!("{producer} {number}")).collect();
        assert_eq!(bodies, expected);
    }
}
