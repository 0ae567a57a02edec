//! Packs the goods, schedules the shipments, and reports to whoever asked for them.

mod events;

use std::process::ExitCode;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use reqwest_middleware::ClientWithMiddleware;
use throughline::axum::ServerLayer;
use throughline::boundary;
use tokio::sync::watch;
use tracing::{info, instrument};

use self::events::Events;
use super::{announce, brokers, client, handed_on, listen, serve, stop};
use crate::cli::FulfilmentArgs;
use crate::error::Error;
use crate::order::{Order, OrderState, PACKED, PlacedOrder};

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
    let (joined, mut has_joined) = watch::channel(false);
    let events = Events::new(brokers(NAME)?, joined, args.fail_once).await?;
    let served = async {
        // Ready is who reads the events, too: no order waits for that.
        let mut stopped = stop.clone();
        tokio::select! {
            _ = has_joined.wait_for(|joined| *joined) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        announce(NAME, &listener)?;
        serve(NAME, listener, routes, stop.clone()).await
    };
    tokio::try_join!(served, events.process(stop.clone()))?;
    Ok(())
}

async fn ship(
    State(http): State<ClientWithMiddleware>,
    Json(PlacedOrder { order, callback }): Json<PlacedOrder>,
) -> Result<StatusCode, StatusCode> {
    boundary().set_attribute("order.id", order.id.clone());
    pack(&order).await;
    report(&http, &callback, &order, PACKED).await
}

#[instrument(skip_all, fields(quantity = order.quantity))]
async fn pack(order: &Order) {
    tokio::time::sleep(Duration::from_millis(4)).await;
    info!("packed {} of {}", order.quantity, order.item);
}

/// Tells whoever placed the order how far it is.
async fn report(
    http: &ClientWithMiddleware,
    callback: &str,
    order: &Order,
    state: &str,
) -> Result<StatusCode, StatusCode> {
    let url = format!("{callback}/orders/{}/state", order.id);
    let state = OrderState { state: state.to_owned() };
    handed_on("gateway", &order.id, http.post(url).json(&state).send().await)
}
