//! Customers: clients from outside, who know nothing of traces.

use std::fmt;

use crate::error::Error;
use crate::order::Order;

/// What became of the orders.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) orders: u32,
    /// A sentence for each order that failed.
    pub(crate) failures: Vec<String>,
    /// Warnings and errors of the services, a line each.
    pub(crate) complaints: String,
}

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

pub(crate) async fn place(gateway: &str, orders: u32, concurrency: u32) -> Result<Placed, Error> {
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.map_err(|error| Error::Customer(error.to_string()))?;
    let mut placed = Placed { orders, ..Placed::default() };
    let mut running = tokio::task::JoinSet::new();
    for number in 1..=orders {
        if running.len() == concurrency as usize {
            placed.note(running.join_next().await);
        }
        running.spawn(place_one(http.clone(), format!("{gateway}/orders"), number));
    }
    while let Some(result) = running.join_next().await {
        placed.note(Some(result));
    }
    Ok(placed)
}

impl Placed {
    fn note(&mut self, result: Option<Result<Result<(), String>, tokio::task::JoinError>>) {
        match result {
            Some(Ok(Err(failure))) => self.failures.push(failure),
            Some(Err(error)) => self.failures.push(error.to_string()),
            Some(Ok(Ok(()))) | None => {}
        }
    }
}

async fn place_one(http: reqwest::Client, url: String, number: u32) -> Result<(), String> {
    let items = ["teapot", "kettle", "cup"];
    let item = items[number as usize % items.len()].to_owned();
    let order = Order { id: format!("order-{number}"), item, quantity: 1 + number % 4 };
    match http.post(url).json(&order).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{} was answered {}", order.id, answer.status())),
        Err(error) => Err(format!("{} failed: {error}", order.id)),
    }
}
