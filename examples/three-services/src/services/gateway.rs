//! The public edge, where a trace begins, and the internal port, where it must not.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Url;
use throughline::axum::ServerLayer;
use throughline::boundary;
use tokio::sync::watch;

use super::{announce, client, endpoint, handed_on, listen, raw_client, serve, stop, url};
use crate::cli::{GatewayArgs, Leg};
use crate::error::Error;
use crate::legs::http::OrdersClient;
use crate::order::{Order, OrderState, PlacedOrder, SCHEDULED};

const NAME: &str = "gateway";

pub(crate) fn run(args: GatewayArgs) -> Result<ExitCode, Error> {
    super::run(NAME, || start(args))
}

struct Gateway {
    orders: Url,
    http: OrdersClient,
    callback: String,
    /// How far each order is.
    states: watch::Sender<HashMap<String, String>>,
}

async fn start(args: GatewayArgs) -> Result<(), Error> {
    let public = listen(NAME, "port", args.service.host, args.service.port).await?;
    let internal = listen(NAME, "internal-port", args.service.host, args.internal_port).await?;
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
        states: watch::Sender::default(),
    });
    let public_routes = Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(order_state))
        // Anybody may call here: a new trace for each request, whatever it claims to belong to.
        .layer(ServerLayer::public_edge())
        // Behind the layer: whoever waits for an order to be done makes no span.
        .route("/orders/{id}/done", get(until_done))
        .with_state(Arc::clone(&gateway));
    let internal_routes = Router::new()
        .route("/orders/{id}/state", post(report_state))
        // Only our own services call here: a request without a trace is a break.
        .layer(ServerLayer::new().expect_parent(true))
        .with_state(Arc::clone(&gateway));

    let stop = stop(NAME, &args.service)?;
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
    boundary().set_attribute("order.id", order.id.clone());
    let placed = PlacedOrder { callback: gateway.callback.clone(), order };
    let answer = gateway.http.place(gateway.orders.clone(), &placed).await;
    handed_on("orders", &placed.order.id, answer)
}

async fn order_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Json<OrderState>, StatusCode> {
    let states = gateway.states.borrow();
    let state = states.get(&id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(OrderState { state: state.clone() }))
}

async fn report_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    Json(OrderState { state }): Json<OrderState>,
) -> StatusCode {
    boundary().set_attribute("order.id", id.clone());
    gateway.states.send_modify(|states| drop(states.insert(id, state)));
    StatusCode::NO_CONTENT
}

/// Answers when everything is done for an order, what nobody waits for included.
async fn until_done(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> StatusCode {
    let mut states = gateway.states.subscribe();
    let done = states.wait_for(|states| states.get(&id).is_some_and(|state| state == SCHEDULED));
    match done.await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
