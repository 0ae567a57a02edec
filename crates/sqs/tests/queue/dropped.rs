//! Receives that nobody waits for to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use throughline_sqs::Queue;

use crate::common::{Rig, soon};

/// A poll longer than whatever is done here.
fn patient(rig: &Rig, url: &str) -> Queue {
    rig.read(url).wait_time(Duration::from_secs(5))
}

/// Waits for a message, and for something else that comes first.
async fn give_up(queue: &Queue) {
    let waiting = tokio::time::timeout(Duration::from_millis(100), queue.receive());
    waiting.await.expect_err("there is nothing to receive");
}

/// A loop that has other things to do drops its receives all the time: that costs no message one of
/// the receives after which it is dead.
#[tokio::test]
async fn what_a_dropped_receive_brings_the_next_one_has() {
    const MESSAGES: usize = 5;
    let rig = Rig::new();
    let (url, dead) = rig.with_dead_letters(false, 3).await;
    let queue = patient(&rig, &url);
    let (mut sent, mut handled) = (0, Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    soon("all messages", async {
        while handled.len() < MESSAGES {
            tokio::select! {
                biased;
                received = queue.receive() => {
                    for delivery in received.expect("an answer") {
                        let count = delivery.receive_count();
                        let body = delivery.process(async |it| Ok::<_, String>(it.body().to_owned()));
                        handled.push((body.await.expect("it succeeds"), count));
                    }
                }
                // The receive above is dropped, and its poll takes what comes now.
                _ = ticks.tick() => if sent < MESSAGES {
                    rig.send(&url, &sent.to_string()).await;
                    sent += 1;
                },
            }
        }
    })
    .await;
    queue.flush().await.expect("they are deleted");
    handled.sort_unstable();
    let once: Vec<_> = (0..MESSAGES).map(|number| (number.to_string(), Some(1))).collect();
    assert_eq!(handled, once);
    assert_eq!((rig.counts(&url).await, rig.counts(&dead).await), ((0, 0), (0, 0)));
}

#[tokio::test]
async fn what_came_meanwhile_is_kept_for_the_next_receive() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let queue = patient(&rig, &url).visibility_timeout(Duration::from_secs(1));
    give_up(&queue).await;
    rig.send(&url, "one book").await;
    rig.wait_counts(&url, (0, 1)).await;
    // Longer than it would stay invisible by itself.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(rig.counts(&url).await, (0, 1));
    let received = soon("the message", queue.receive()).await.expect("an answer");
    let counts: Vec<_> = received.iter().map(throughline_sqs::Delivery::receive_count).collect();
    assert_eq!(counts, [Some(1)]);
}

/// Whoever stops flushes: nothing stays hidden.
#[tokio::test]
async fn a_flush_waits_for_a_dropped_receive_and_gives_back_what_it_brings() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let queue = patient(&rig, &url);
    give_up(&queue).await;
    rig.send(&url, "one book").await;
    soon("the flush", queue.flush()).await.expect("nothing is left to delete");
    assert_eq!(rig.counts(&url).await, (1, 0));
}

#[tokio::test]
async fn without_the_queue_it_is_given_back_as_well() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let queue = patient(&rig, &url);
    give_up(&queue).await;
    drop(queue);
    rig.send(&url, "one book").await;
    soon(
        "the poll",
        rig.recorder.wait_until(crate::common::PATIENCE, |spans| {
            spans.iter().any(|span| span.name.starts_with("receive "))
        }),
    )
    .await
    .expect("a receive");
    rig.wait_counts(&url, (1, 0)).await;
}

/// Counts calls that have ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<AtomicUsize>);

impl Intercept for Ended {
    fn name(&self) -> &'static str {
        "ended"
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

/// A poll that found nothing while nobody waited is no answer to who asks now.
#[tokio::test]
async fn an_old_answer_that_brings_nothing_is_no_answer() {
    let rig = Rig::embedded();
    let url = rig.queue(&[]).await;
    let ended = Ended::default();
    let config = rig.raw.config().to_builder().interceptor(ended.clone());
    let queue = rig.read_by(aws_sdk_sqs::Client::from_conf(config.build()), &url);
    let queue = queue.wait_time(Duration::from_secs(5));
    give_up(&queue).await;
    soon("the end of the poll", async {
        while ended.0.load(SeqCst) == 0 {
            rig.pass(Duration::from_secs(5)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    give_up(&queue).await;
}
