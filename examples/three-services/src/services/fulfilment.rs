//! Packs the goods and reports to whoever asked for them.

use std::process::ExitCode;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use reqwest_middleware::ClientWithMiddleware;
use throughline::axum::ServerLayer;
use throughline::boundary;
use tracing::{info, instrument};

use super::{announce, client, handed_on, listen, serve, stop};
use crate::cli::FulfilmentArgs;
use crate::error::Error;
use crate::order::{Order, OrderState, PlacedOrder};

const NAME: &str = "fulfilment";

pub(crate) fn run(args: FulfilmentArgs) -> Result<ExitCode, Error> {
    super::run(NAME, || start(args))
}

async fn start(args: FulfilmentArgs) -> Result<(), Error> {
    let listener = listen(NAME, "port", args.service.host, args.service.port).await?;
    let routes = Router::new()
        .route("/shipments", post(ship))
        .layer(ServerLayer::new().expect_parent(true))
        .with_state(client());

    let stop = stop(NAME, &args.service)?;
    announce(NAME, &listener)?;
    serve(NAME, listener, routes, stop).await
}

async fn ship(
    State(http): State<ClientWithMiddleware>,
    Json(PlacedOrder { order, callback }): Json<PlacedOrder>,
) -> Result<StatusCode, StatusCode> {
    boundary().set_attribute("order.id", order.id.clone());
    pack(&order).await;
    let url = format!("{callback}/orders/{}/state", order.id);
    let state = OrderState { state: "packed".to_owned() };
    handed_on("gateway", &order.id, http.post(url).json(&state).send().await)
}

#[instrument(skip_all, fields(quantity = order.quantity))]
async fn pack(order: &Order) {
    tokio::time::sleep(Duration::from_millis(4)).await;
    info!("packed {} of {}", order.quantity, order.item);
}
