//! The pickups that were asked for, one message each: the carrier's system books them, and people
//! those that it refuses.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join;
use reqwest_middleware::ClientWithMiddleware;
use throughline::boundary;
use throughline::sqs::{OwnedMessage, Queue};
use tokio::sync::watch;
use tracing::{info, instrument};

use super::{NAME, report};
use crate::error::Error;
use crate::legs::sqs::Queues;
use crate::order::{BOOKED, BY_HAND, Order, PlacedOrder};
use crate::services::client;

/// How many pickups are booked at once.
const CONCURRENCY: usize = 8;

pub(super) struct Pickups {
    asked: Queue,
    dead: Queue,
    handler: Arc<Handler>,
}

struct Handler {
    http: ClientWithMiddleware,
    /// The order whose pickup fails, once there is one, if any is to.
    poison: Option<OnceLock<String>>,
}

/// Why a pickup is not booked.
#[derive(Debug, thiserror::Error)]
enum NotBooked {
    #[error("it is no request for a pickup: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("its pickup fails each time, as --poison asks for")]
    Poison,
}

impl Pickups {
    pub(super) fn new(queues: &Queues, poison: bool) -> Self {
        let handler = Handler { http: client(), poison: poison.then(OnceLock::new) };
        let (asked, dead) = (queues.pickups(), queues.dead_letters());
        Pickups { asked, dead, handler: Arc::new(handler) }
    }

    /// Books pickups until `stop` is told.
    pub(super) async fn process(self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        // Where one of the two can't go on the other one stops as well, in order.
        let (ends, end) = watch::channel(());
        let stopped = |mut end: watch::Receiver<()>| async move {
            let _ended = end.changed().await;
        };
        let (handler, other) = (Arc::clone(&self.handler), self.handler);
        let asked = self.asked.runner().concurrency(CONCURRENCY);
        let asked = asked.with_graceful_shutdown(stopped(end.clone())).run(move |message| {
            let handler = Arc::clone(&handler);
            async move { handler.book(message).await }
        });
        let dead = self.dead.runner().with_graceful_shutdown(stopped(end)).run(move |message| {
            let handler = Arc::clone(&other);
            async move { handler.hand_over(message).await }
        });
        let (asked, dead) =
            (asked.inspect(|_| ends.send_replace(())), dead.inspect(|_| ends.send_replace(())));
        let stopping = async {
            // An error means that nobody is left to tell us: that is a stop as well.
            let _stopped = stop.wait_for(|stop| *stop).await;
            ends.send_replace(());
            pending::<Infallible>().await
        };
        let (asked, dead) = tokio::select! {
            both = join(asked, dead) => both,
            never = stopping => match never {},
        };
        asked.and(dead).map_err(|cause| Error::Pickups { service: NAME, cause })
    }
}

impl Handler {
    async fn book(&self, message: OwnedMessage) -> Result<(), NotBooked> {
        let (order, callback) = read(&message)?;
        if let Some(poison) = &self.poison
            && poison.get_or_init(|| order.id.clone()) == &order.id
        {
            return Err(NotBooked::Poison);
        }
        book(&order).await;
        // The lorry comes. If nobody hears of it, the span says so; to book another one wouldn't help.
        let _told = report(&self.http, &callback, &order, BOOKED).await;
        Ok(())
    }

    /// What has failed too often.
    async fn hand_over(&self, message: OwnedMessage) -> Result<(), NotBooked> {
        let (order, callback) = read(&message)?;
        phone(&order).await;
        let _told = report(&self.http, &callback, &order, BY_HAND).await;
        Ok(())
    }
}

fn read(message: &OwnedMessage) -> Result<(Order, String), serde_json::Error> {
    let PlacedOrder { order, callback } = serde_json::from_str(message.body())?;
    boundary().set_attribute("order.id", order.id.clone());
    Ok((order, callback))
}

#[instrument(skip_all, fields(quantity = order.quantity))]
async fn book(order: &Order) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    info!("a lorry fetches {} of {}", order.quantity, order.item);
}

#[instrument(skip_all)]
async fn phone(order: &Order) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    info!("somebody phones the carrier about order {}", order.id);
}
