//! The public edge, where a trace begins, and the internal port, where it must not.

mod events;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Url;
use throughline::axum::ServerLayer;
use throughline::boundary;
use throughline::opentelemetry::Context;
use throughline::opentelemetry::trace::SpanContext;
use throughline::prelude::*;
use tokio::sync::watch;

use self::events::events;
use super::{announce, client, endpoint, handed_on, listen, raw_client, serve, stop, url};
use crate::cli::{GatewayArgs, Leg};
use crate::error::Error;
use crate::legs::http::OrdersClient;
use crate::order::{FAILED, Order, OrderState, PlacedOrder, RECEIVED};

const NAME: &str = "gateway";

pub(crate) fn run(args: GatewayArgs) -> Result<ExitCode, Error> {
    super::run(NAME, || start(args))
}

struct Gateway {
    orders: Url,
    http: OrdersClient,
    callback: String,
    /// What is known of each order.
    known: watch::Sender<Known>,
    stop: watch::Receiver<bool>,
}

type Known = HashMap<String, Progress>;

/// How far an order is, and the span that it was placed in.
#[derive(Default)]
struct Progress {
    state: String,
    placed_in: Option<SpanContext>,
}

async fn start(args: GatewayArgs) -> Result<(), Error> {
    let public = listen(NAME, "port", args.service.host, args.service.port).await?;
    let internal = listen(NAME, "internal-port", args.service.host, args.internal_port).await?;
    let stop = stop(NAME, &args.service)?;
    let is_broken = args.service.broken == Some(Leg::Http);
    let gateway = Arc::new(Gateway {
        orders: endpoint(NAME, &args.orders, "orders")?,
        http: if is_broken {
            OrdersClient::Raw(raw_client())
        } else {
            OrdersClient::Traced(client())
        },
        callback: match args.callback {
            Some(callback) => callback.as_str().trim_end_matches('/').to_owned(),
            None => url(NAME, &internal)?,
        },
        known: watch::Sender::default(),
        stop: stop.clone(),
    });
    let public_routes = Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(order_state))
        .route("/orders/{id}/events", get(order_events))
        // Anybody may call here: a new trace for each request, whatever it claims to belong to.
        .layer(ServerLayer::public_edge())
        .with_state(Arc::clone(&gateway));
    let internal_routes = Router::new()
        .route("/orders/{id}/state", post(report_state))
        // Only our own services call here: a request without a trace is a break.
        .layer(ServerLayer::new().expect_parent(true))
        .with_state(Arc::clone(&gateway));

    announce(NAME, &public)?;
    tokio::try_join!(
        serve(NAME, public, public_routes, stop.clone()),
        serve(NAME, internal, internal_routes, stop),
    )?;
    Ok(())
}

async fn place_order(
    State(gateway): State<Arc<Gateway>>,
    Json(order): Json<Order>,
) -> Result<StatusCode, StatusCode> {
    let span = boundary();
    span.set_attribute("order.id", order.id.clone());
    let received = Progress { state: RECEIVED.to_owned(), placed_in: span.span_context() };
    gateway.known.send_modify(|known| drop(known.insert(order.id.clone(), received)));
    let placed = PlacedOrder { callback: gateway.callback.clone(), order };
    let answer = gateway.http.place(gateway.orders.clone(), &placed).await;
    let answer = handed_on("orders", &placed.order.id, answer);
    if answer.is_err() {
        gateway.note(placed.order.id, FAILED.to_owned());
    }
    answer
}

async fn order_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Json<OrderState>, StatusCode> {
    let known = gateway.known.borrow();
    let Progress { state, .. } = known.get(&id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(OrderState { state: state.clone() }))
}

/// Tells each step of an order as it comes. The span of the request lasts as long as the stream.
async fn order_events(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let placed_in = match gateway.known.borrow().get(&id) {
        Some(Progress { placed_in, .. }) => placed_in.clone(),
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    boundary().set_attribute("order.id", id.clone());
    // A request from outside is a trace of its own. Whoever looks at this one finds the order.
    if let Some(placed_in) = placed_in {
        Context::map_current(|current| current.span().add_link(placed_in, Vec::new()));
    }
    let events = events(id, gateway.known.subscribe(), gateway.stop.clone());
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

async fn report_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    Json(OrderState { state }): Json<OrderState>,
) -> StatusCode {
    boundary().set_attribute("order.id", id.clone());
    gateway.note(id, state);
    StatusCode::NO_CONTENT
}

impl Gateway {
    fn note(&self, order: String, state: String) {
        self.known.send_modify(|known| known.entry(order).or_default().state = state);
    }
}
