//! Packs the goods, schedules the shipments, has them fetched, and reports to whoever asked for them.

mod events;
mod pickups;
mod shipping;

use std::process::ExitCode;

use axum::http::StatusCode;
use reqwest_middleware::ClientWithMiddleware;
use throughline::axum::ServerLayer;
use tokio::sync::watch;
use tonic::service::Routes;

use self::events::Events;
use self::pickups::Pickups;
use self::shipping::Shipments;
use super::{announce, brokers, client, handed_on, listen, serve, stop};
use crate::access::Access;
use crate::cli::{FulfilmentArgs, Leg};
use crate::error::Error;
use crate::legs::grpc::shipping::shipping_server::ShippingServer;
use crate::legs::sqs::Queues;
use crate::order::{Order, OrderState};

const NAME: &str = "fulfilment";

pub(crate) fn run(args: FulfilmentArgs) -> Result<ExitCode, Error> {
    super::run(NAME, || start(args))
}

async fn start(args: FulfilmentArgs) -> Result<(), Error> {
    let listener = listen(NAME, "port", args.service.host, args.service.port).await?;
    // One port and one layer for gRPC and whatever HTTP there is: calls are told by their kind.
    let shipments = ShippingServer::new(Shipments::new(client()));
    let routes =
        Routes::new(shipments).into_axum_router().layer(ServerLayer::new().expect_parent(true));

    let stop = stop(NAME, &args.service)?;
    let (joined, mut has_joined) = watch::channel(false);
    let (brokers, queues) = (brokers(NAME)?, queues().await?);
    let requests = queues.requests(args.service.broken == Some(Leg::Sqs));
    let events = Events::new(brokers, joined, requests, args.fail_once).await?;
    let pickups = Pickups::new(&queues, args.poison);
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
    tokio::try_join!(served, events.process(stop.clone()), pickups.process(stop.clone()))?;
    Ok(())
}

async fn queues() -> Result<Queues, Error> {
    let access = Access::of_environment()?.ok_or(Error::NoSqs { service: NAME })?;
    let found = Queues::find_or_create(&access).await;
    found.map_err(|cause| Error::Queue { service: NAME, endpoint: access.endpoint, cause })
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
