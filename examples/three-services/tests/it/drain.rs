//! A service that is told to stop in the middle of its work.
#![expect(clippy::disallowed_methods, reason = "customers, and who tests, are of no trace")]

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use throughline_testing::embedded::sqs::MessageState;
use throughline_testing::embedded::{Collector, Kafka, Sqs};
use throughline_testing::lineage::{Forest, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::access;
use crate::service::Service;

const ORDERS: usize = 20;
const PICKUPS: &str = "pickups";
const PATIENCE: Duration = Duration::from_secs(30);

/// How often each state of each order was reported.
type Reports = BTreeMap<(String, String), usize>;

/// Somebody to report to, who lets whoever reports a booking wait.
struct Customer {
    callback: String,
    reports: watch::Sender<Reports>,
    patient: watch::Sender<bool>,
}

impl Customer {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let callback = format!("http://{}", listener.local_addr().expect("bound"));
        let (reports, (patient, is_patient)) = (watch::Sender::default(), watch::channel(true));
        let told: watch::Sender<Reports> = reports.clone();
        let report = async move |Path(id): Path<String>, Json(report): Json<Value>| {
            let state = report["state"].as_str().unwrap_or_default().to_owned();
            let is_booked = state == "booked";
            told.send_modify(|reports| *reports.entry((state, id)).or_default() += 1);
            if is_booked {
                let mut is_patient = is_patient.clone();
                // An error means that the test is over.
                let _released = is_patient.wait_for(|it| !it).await;
            }
            StatusCode::NO_CONTENT
        };
        let routes = axum::Router::new().route("/orders/{id}/state", post(report));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { callback, reports, patient }
    }

    fn count(&self, state: &str) -> usize {
        self.reports.borrow().keys().filter(|(reported, _)| reported == state).count()
    }

    async fn wait_for(&self, state: &str, orders: usize) {
        let mut reports = self.reports.subscribe();
        let are_there = reports.wait_for(|_| self.count(state) >= orders);
        let waited = timeout(PATIENCE, are_there).await.map(drop);
        assert!(waited.is_ok(), "{} of {orders} orders are {state}", self.count(state));
    }
}

async fn place(orders: &str, callback: &str, number: usize) {
    let order = json!({
        "id": format!("order-{number}"), "item": "cup", "quantity": 1, "callback": callback,
    });
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = http.post(format!("{orders}/orders")).json(&order).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::CREATED);
}

/// Nothing is lost, nothing is done twice, and every span is in.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_finishes_what_it_has_begun_and_leaves_the_rest() {
    let (kafka, sqs) = (Kafka::start().expect("a broker"), Sqs::start().expect("an SQS"));
    kafka.create_topic("placed-orders", 1).expect("created");
    let collector = Collector::start().await.expect("a collector");
    let endpoint = collector.endpoint();
    let environment =
        [("KAFKA_BROKERS", kafka.brokers()), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let environment = || environment.into_iter().chain(access(&sqs));
    let customer = Customer::new().await;
    let fulfilment = Service::start(&["fulfilment"], environment());
    let orders = Service::start(&["orders", "--fulfilment", &fulfilment.url], environment());
    let placing = (1..=ORDERS).map(|number| place(&orders.url, &customer.callback, number));
    futures_util::future::join_all(placing).await;

    // As many bookings as there may be at once wait for the customer, and messages wait for them.
    customer.wait_for("scheduled", ORDERS).await;
    customer.wait_for("booked", 8).await;
    let address = fulfilment.url.trim_start_matches("http://").to_owned();
    fulfilment.terminate();
    let stops = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, stops).await.expect("it accepts nothing any more");
    customer.patient.send_replace(false);
    let said = tokio::task::spawn_blocking(|| fulfilment.ended()).await.expect("it ends");

    let begun = customer.count("booked");
    let left = sqs.messages(PICKUPS).expect("a queue");
    assert_eq!(begun + left.len(), ORDERS);
    assert!(!left.is_empty(), "it has begun what it should have left");
    assert!(left.iter().all(|message| message.state == MessageState::Visible), "{left:?}");
    assert!(!said.iter().any(|line| line.contains("\"WARN\"")), "{}", said.join("\n"));

    // The next one does the rest.
    let fulfilment = Service::start(&["fulfilment"], environment());
    customer.wait_for("booked", ORDERS).await;
    let stop = move || [fulfilment, orders].map(Service::stop);
    tokio::task::spawn_blocking(stop).await.expect("they end");
    assert_eq!(sqs.messages(PICKUPS).expect("a queue").len(), 0);
    let reports = customer.reports.borrow().clone();
    assert!(reports.values().all(|times| *times == 1), "{reports:?}");

    let spans = collector.spans();
    let forest = Forest::new(spans.iter().cloned());
    let mut bookings = 0;
    for node in forest.nodes().filter(|node| node.span().name == "process pickups") {
        let parent = node.parent().expect("its parent is in").span();
        assert_eq!(parent.name, "send pickups");
        assert_eq!(node.children().count(), 2, "what it did is in");
        bookings += 1;
    }
    assert_eq!(bookings, ORDERS);
    // Whoever placed the orders has a trace of nothing.
    let verdict = forest.judge(&Settings::complete());
    let lost: Vec<_> = verdict.breaks.iter().filter(|it| it.span != "POST /orders").collect();
    assert!(lost.is_empty(), "{lost:?}");
}
