//! Takes orders, hands them on, keeps an audit trail, and announces what is placed.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use throughline::axum::ServerLayer;
use throughline::boundary;
use tokio::task::JoinHandle;
use tracing::{info, instrument, warn};

use super::{announce, brokers, listen, serve, stop};
use crate::cli::{Leg, OrdersArgs};
use crate::error::Error;
use crate::legs;
use crate::legs::grpc::Shipper;
use crate::legs::kafka::Announcer;
use crate::order::{Order, PlacedOrder};

const NAME: &str = "orders";

pub(crate) fn run(args: OrdersArgs) -> Result<ExitCode, Error> {
    super::run(NAME, || start(args))
}

struct Orders {
    shipper: Shipper,
    announcer: Announcer,
    audits_raw: bool,
    /// Tasks that nobody waits for, until the service stops.
    audits: Mutex<Vec<JoinHandle<()>>>,
}

async fn start(args: OrdersArgs) -> Result<(), Error> {
    let listener = listen(NAME, "port", args.service.host, args.service.port).await?;
    let is_raw = |leg| args.service.broken == Some(leg);
    let announcer = Announcer::new(&brokers(NAME)?, is_raw(Leg::Kafka))
        .map_err(|cause| Error::Kafka { service: NAME, cause })?;
    let orders = Arc::new(Orders {
        shipper: Shipper::new(&args.fulfilment, is_raw(Leg::Grpc)).map_err(|cause| {
            Error::Channel { service: NAME, url: Box::new(args.fulfilment.clone()), cause }
        })?,
        announcer,
        audits_raw: is_raw(Leg::Spawn),
        audits: Mutex::default(),
    });
    let routes = Router::new()
        .route("/orders", post(take_order))
        .layer(ServerLayer::new().expect_parent(true))
        .with_state(Arc::clone(&orders));

    let stop = stop(NAME, &args.service)?;
    announce(NAME, &listener)?;
    serve(NAME, listener, routes, stop).await?;
    let audits = std::mem::take(&mut *orders.audits.lock().unwrap_or_else(PoisonError::into_inner));
    for audit in audits {
        // One that panicked has said so.
        let _ended = audit.await;
    }
    let flushed = throughline::task::spawn_blocking(move || orders.announcer.flush()).await;
    if let Ok(Err(error)) = flushed {
        warn!("not every order that was placed is announced: {error}");
    }
    Ok(())
}

async fn take_order(
    State(orders): State<Arc<Orders>>,
    Json(placed): Json<PlacedOrder>,
) -> Result<StatusCode, StatusCode> {
    let order = &placed.order;
    boundary().set_attribute("order.id", order.id.clone());
    reserve(order).await;
    let audit = legs::spawn::audit(order.id.clone(), orders.audits_raw);
    {
        let mut audits = orders.audits.lock().unwrap_or_else(PoisonError::into_inner);
        audits.retain(|audit| !audit.is_finished());
        audits.push(audit);
    }
    let shipped = async {
        orders.shipper.ship(&placed).await?;
        orders.shipper.track(&order.id).await
    };
    match shipped.await {
        Ok(steps) => info!("order {}: {}", order.id, steps.join(", ")),
        Err(status) => {
            boundary().fail(&status);
            return Err(StatusCode::BAD_GATEWAY);
        }
    }
    match orders.announcer.announce(&placed).await {
        Ok(()) => Ok(StatusCode::CREATED),
        Err(error) => {
            boundary().fail(&*error);
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}

#[instrument(skip_all, fields(item = order.item, quantity = order.quantity))]
async fn reserve(order: &Order) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    info!("reserved {} of {}", order.quantity, order.item);
}
