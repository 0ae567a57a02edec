//! What customers who wait are told of an order.

use std::convert::Infallible;

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tracing::info;

use super::Known;
use crate::order::{BOOKED, BY_HAND, FAILED};

/// The steps of an order, each once, until it is done or `stop` is told.
pub(super) fn events(
    order: String,
    known: watch::Receiver<Known>,
    stop: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Steps { order, known, stop, last: None }, Steps::next)
}

struct Steps {
    order: String,
    known: watch::Receiver<Known>,
    stop: watch::Receiver<bool>,
    last: Option<String>,
}

impl Steps {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let Steps { order, known, stop, last } = &mut self;
        let is_done = |state: &String| [BOOKED, BY_HAND, FAILED].contains(&state.as_str());
        if last.as_ref().is_some_and(is_done) {
            return None;
        }
        let is_new =
            |known: &Known| known.get(order).is_some_and(|now| last.as_ref() != Some(&now.state));
        let state = tokio::select! {
            known = known.wait_for(is_new) => known.ok()?.get(order)?.state.clone(),
            // No server stops while a stream goes on.
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        // In the trace of whoever listens, as everything that is done while a body is sent.
        info!("order {order} is {state}");
        let event = Event::default().event("state").data(&state);
        self.last = Some(state);
        Some((Ok(event), self))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use tokio::time::timeout;

    use super::*;
    use crate::services::gateway::Progress;

    fn tell(known: &watch::Sender<Known>, state: &str) {
        let progress = Progress { state: state.to_owned(), placed_in: None };
        known.send_modify(|known| drop(known.insert("order-1".to_owned(), progress)));
    }

    /// How many events come until the stream ends.
    async fn count(
        events: impl Stream<Item = Result<Event, Infallible>>,
    ) -> Result<usize, tokio::time::error::Elapsed> {
        timeout(Duration::from_secs(20), events.count()).await
    }

    #[tokio::test]
    async fn it_ends_when_the_order_is_done_or_the_gateway_stops()
    -> Result<(), Box<dyn std::error::Error>> {
        for (last, events_until_then) in [(BOOKED, 2), (BY_HAND, 2), (FAILED, 2), ("packed", 1)] {
            let ((known, knows), (stop, stops)) =
                (watch::channel(Known::new()), watch::channel(false));
            tell(&known, "packed");
            let mut events = Box::pin(events("order-1".to_owned(), knows, stops));
            assert!(events.next().await.is_some());
            tell(&known, last);
            if last == "packed" {
                stop.send_replace(true);
            }
            assert_eq!(1 + count(events).await?, events_until_then, "{last}");
        }
        Ok(())
    }
}
