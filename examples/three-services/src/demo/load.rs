//! Customers: clients from outside, who know nothing of traces.

use std::fmt;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::error::Error;
use crate::order::{BOOKED, BY_HAND, Order, SCHEDULED};

/// What became of the orders.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) orders: u32,
    /// A sentence for each order that failed.
    pub(crate) failures: Vec<String>,
    /// Warnings and errors of the services, a line each.
    pub(crate) complaints: String,
}

/// How long an order may take from where it is taken to where nothing is left to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How many failures are told one by one.
const TOLD: usize = 5;

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures.len();
        write!(f, "{} orders placed, {failed} failed", self.orders)?;
        for failure in self.failures.iter().take(TOLD) {
            write!(f, "\n  {failure}")?;
        }
        if failed > TOLD {
            write!(f, "\n  and {} more", failed - TOLD)?;
        }
        Ok(())
    }
}

impl Placed {
    /// To the side of the verdict: what the customers and the services say.
    pub(crate) fn tell_what_went_wrong(&self) {
        if !self.failures.is_empty() {
            eprintln!("{self}");
        }
        if !self.complaints.is_empty() {
            eprintln!("The services complained:{}", self.complaints);
        }
    }
}

/// Why an order failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{id} was answered {status}")]
    Refused { id: String, status: StatusCode },
    #[error("{id} failed: {cause}")]
    Failed { id: String, cause: reqwest::Error },
    /// As others will: it makes no sense to place more.
    #[error("{id} was taken, but wasn't done within {patience:?}: {}", whereabouts(last))]
    Stuck { id: String, patience: Duration, last: String },
    #[error("{id} was taken, and the stream of its states ended with {last:?}")]
    Abandoned { id: String, last: String },
    #[error("{id} was not placed, since another one got stuck")]
    NotPlaced { id: String },
}

/// Where an order is that goes no further.
fn whereabouts(last: &str) -> &'static str {
    match last {
        SCHEDULED => "it is scheduled, and its message is stuck in fulfilment, or in SQS",
        _ => "its event is stuck between orders and fulfilment",
    }
}

/// Places the orders, and waits for each until everything is done, what its customer doesn't wait
/// for included: then nothing is on its way any more, and the services can be stopped.
pub(crate) async fn place(
    gateway: &str,
    orders: u32,
    concurrency: u32,
    patience: Duration,
) -> Result<Placed, Error> {
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.map_err(|error| Error::Customer(error.to_string()))?;
    let mut placed = Placed { orders, ..Placed::default() };
    let mut running = JoinSet::new();
    let mut is_stuck = false;
    for number in 1..=orders {
        if running.len() == concurrency as usize {
            is_stuck |= placed.note(running.join_next().await);
        }
        let order = order(number);
        if is_stuck {
            placed.failures.push(Failure::NotPlaced { id: order.id }.to_string());
        } else {
            #[expect(clippy::disallowed_methods, reason = "customers have no trace")]
            running.spawn(place_one(http.clone(), format!("{gateway}/orders"), order, patience));
        }
    }
    while let Some(result) = running.join_next().await {
        placed.note(Some(result));
    }
    Ok(placed)
}

impl Placed {
    /// Whether the order got stuck.
    fn note(&mut self, result: Option<Result<Result<(), Failure>, JoinError>>) -> bool {
        match result {
            Some(Ok(Err(failure))) => {
                self.failures.push(failure.to_string());
                matches!(failure, Failure::Stuck { .. })
            }
            Some(Err(error)) => {
                self.failures.push(error.to_string());
                false
            }
            Some(Ok(Ok(()))) | None => false,
        }
    }
}

fn order(number: u32) -> Order {
    let items = ["teapot", "kettle", "cup"];
    let item = items[number as usize % items.len()].to_owned();
    let customer = format!("customer-{number}");
    Order { id: format!("order-{number}"), item, quantity: 1 + number % 4, customer }
}

#[expect(clippy::disallowed_methods, reason = "customers have no trace")]
async fn place_one(
    http: reqwest::Client,
    orders: String,
    order: Order,
    patience: Duration,
) -> Result<(), Failure> {
    let id = order.id.clone();
    taken(&id, http.post(&orders).json(&order).send().await)?;
    // A stream that ends when everything is done.
    let mut states = Vec::new();
    let listening = async {
        let answer = http.get(format!("{orders}/{id}/events")).send().await;
        let mut answer = answer?.error_for_status()?;
        while let Some(more) = answer.chunk().await? {
            states.extend_from_slice(&more);
        }
        Ok(())
    };
    let listened = timeout(patience, listening).await;
    let states = String::from_utf8_lossy(&states);
    let last = states.lines().rev().find_map(|line| line.strip_prefix("data: "));
    let last = last.unwrap_or_default();
    match listened {
        Ok(Ok(())) if [BOOKED, BY_HAND].contains(&last) => Ok(()),
        Ok(Ok(())) => Err(Failure::Abandoned { id, last: last.to_owned() }),
        Ok(Err(cause)) => Err(Failure::Failed { id, cause }),
        Err(_) => Err(Failure::Stuck { id, patience, last: last.to_owned() }),
    }
}

fn taken(id: &str, answer: reqwest::Result<Response>) -> Result<(), Failure> {
    let id = id.to_owned();
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(Failure::Refused { id, status: answer.status() }),
        Err(cause) => Err(Failure::Failed { id, cause }),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use futures_util::{StreamExt, stream};

    use super::*;

    /// A gateway whose orders are taken, with other events.
    async fn gateway(events: axum::routing::MethodRouter) -> Result<String, Error> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(Error::Start)?;
        let gateway = format!("http://{}", listener.local_addr().map_err(Error::Start)?);
        let routes = Router::new()
            .route("/orders", post(async || StatusCode::CREATED))
            .route("/orders/{id}/events", events);
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(gateway)
    }

    #[tokio::test]
    async fn a_stream_that_ends_too_early_is_told() -> Result<(), Error> {
        let gateway = gateway(get(async || "event: state\ndata: packed\n\n")).await?;
        let placed = place(&gateway, 1, 1, Duration::from_secs(20)).await?;
        let told = "order-1 was taken, and the stream of its states ended with \"packed\"";
        assert_eq!(placed.failures, [told]);
        Ok(())
    }

    #[tokio::test]
    async fn orders_that_get_stuck_are_told_and_no_more_are_placed() -> Result<(), Error> {
        let gateway = gateway(get(std::future::pending::<StatusCode>)).await?;
        let placed = place(&gateway, 5, 2, Duration::from_millis(50)).await?;
        let stuck = |id| {
            format!(
                "order-{id} was taken, but wasn't done within 50ms: its event is stuck between orders and fulfilment"
            )
        };
        let not_placed = |id| format!("order-{id} was not placed, since another one got stuck");
        let mut failures = placed.failures;
        failures.sort();
        assert_eq!(failures, [stuck(1), stuck(2), not_placed(3), not_placed(4), not_placed(5)]);
        Ok(())
    }

    #[tokio::test]
    async fn how_far_an_order_came_says_where_it_is_stuck() -> Result<(), Error> {
        let events = async || {
            let said = stream::iter([Ok::<_, Infallible>("data: packed\n\ndata: scheduled\n\n")]);
            Body::from_stream(said.chain(stream::pending()))
        };
        let placed = place(&gateway(get(events)).await?, 1, 1, Duration::from_millis(500)).await?;
        let stuck = "order-1 was taken, but wasn't done within 500ms: it is scheduled, and its message is stuck in fulfilment, or in SQS";
        assert_eq!(placed.failures, [stuck]);
        Ok(())
    }
}
