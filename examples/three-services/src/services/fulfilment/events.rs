//! The orders that were placed, one event each: their shipments are scheduled, and their pickups asked
//! for.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rdkafka::ClientContext;
use reqwest_middleware::ClientWithMiddleware;
use throughline::core::error_chain;
use throughline::kafka::{Error as KafkaError, Failed, Hooks, OwnedMessage, Rebalance};
use throughline::{boundary, task};
use tokio::sync::watch;
use tracing::{info, instrument, warn};

use super::{NAME, report};
use crate::error::Error;
use crate::legs;
use crate::legs::sqs::Requests;
use crate::order::{Order, PlacedOrder, SCHEDULED};
use crate::services::client;

/// How many events are processed at once.
const CONCURRENCY: usize = 8;

pub(super) struct Events {
    brokers: String,
    joined: watch::Sender<bool>,
    handler: Arc<Handler>,
}

struct Handler {
    http: ClientWithMiddleware,
    pickups: Requests,
    /// Whether the next event is to fail.
    fail: AtomicBool,
}

/// Why an event is not processed.
#[derive(Debug, thiserror::Error)]
enum NotProcessed {
    #[error("it is no event of an order: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the first event fails, as --fail-once asks for")]
    FailOnce,
    #[error("the scheduling was lost: {0}")]
    Scheduling(#[from] tokio::task::JoinError),
    #[error("no pickup could be asked for: {}", error_chain(&**.0))]
    Pickup(Box<dyn StdError + Send + Sync>),
}

/// Tells when there are partitions to read.
struct Joined(watch::Sender<bool>);

impl ClientContext for Joined {}

impl Hooks for Joined {
    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.0.send_replace(true);
        }
    }
}

impl Events {
    /// `joined` becomes true once events are read.
    pub(super) async fn new(
        brokers: String,
        joined: watch::Sender<bool>,
        pickups: Requests,
        fail_once: bool,
    ) -> Result<Self, Error> {
        if let Err(cause) = legs::kafka::create_topic(&brokers).await {
            return Err(Error::Topic { service: NAME, brokers, cause });
        }
        let handler = Handler { http: client(), pickups, fail: AtomicBool::new(fail_once) };
        Ok(Events { brokers, joined, handler: Arc::new(handler) })
    }

    /// Processes events until `stop` is told. One that fails gets a second chance, by a consumer
    /// that is made anew; what fails again is for people to look at.
    pub(super) async fn process(self, stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut second_chances = HashSet::new();
        while !*stop.borrow() {
            match self.process_until_one_fails(stop.clone()).await? {
                Err(KafkaError::Failed(failed)) if second_chances.insert(place(&failed)) => {
                    warn!("{failed}; it is tried again");
                }
                result => return result.map_err(|cause| Error::Events { service: NAME, cause }),
            }
        }
        Ok(())
    }

    async fn process_until_one_fails(
        &self,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Result<(), KafkaError>, Error> {
        let consumer = legs::kafka::consumer(&self.brokers, NAME, Joined(self.joined.clone()))
            .map_err(|cause| Error::Kafka { service: NAME, cause })?;
        let handler = Arc::clone(&self.handler);
        let running = consumer
            .runner()
            .concurrency(CONCURRENCY)
            .per_key()
            .with_graceful_shutdown(async move {
                // An error means that nobody is left to tell us: that is a stop as well.
                let _stopped = stop.wait_for(|stop| *stop).await;
            })
            .run(move |event| {
                let handler = Arc::clone(&handler);
                async move { handler.handle(event).await }
            });
        Ok(running.await)
    }
}

fn place(failed: &Failed) -> (i32, i64) {
    (failed.partition(), failed.offset())
}

impl Handler {
    async fn handle(&self, event: OwnedMessage) -> Result<(), NotProcessed> {
        let PlacedOrder { order, callback } =
            serde_json::from_slice(event.payload().unwrap_or_default())?;
        boundary().set_attribute("order.id", order.id.clone());
        if self.fail.swap(false, Relaxed) {
            return Err(NotProcessed::FailOnce);
        }
        let order = task::spawn_blocking(move || schedule(order)).await?;
        // The shipment is on its way. If nobody hears of it, the span says so; to schedule another
        // one wouldn't help.
        let _told = report(&self.http, &callback, &order, SCHEDULED).await;
        // Without it the shipment stays where it is: the event has to come again.
        self.pickups.ask(&PlacedOrder { order, callback }).await.map_err(NotProcessed::Pickup)
    }
}

/// Asks the planner, which is old and blocks.
#[instrument(skip_all, fields(item = order.item))]
fn schedule(order: Order) -> Order {
    std::thread::sleep(Duration::from_millis(3));
    info!("{} of {} go out tomorrow", order.quantity, order.item);
    order
}
