//! The calls that `orders` makes.

use std::collections::HashMap;
use std::time::Duration;

use reqwest_middleware::ClientWithMiddleware;
use throughline::{boundary, task};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::{info, instrument};

use super::report;
use crate::legs::grpc::shipping::shipping_server::Shipping;
use crate::legs::grpc::shipping::{Parcel, Progress, Receipt, TrackRequest};
use crate::order::{Order, PACKED};

pub(super) struct Shipments {
    http: ClientWithMiddleware,
    /// How far each order is.
    states: watch::Sender<HashMap<String, &'static str>>,
}

impl Shipments {
    pub(super) fn new(http: ClientWithMiddleware) -> Self {
        Shipments { http, states: watch::Sender::default() }
    }
}

#[tonic::async_trait]
impl Shipping for Shipments {
    async fn ship(&self, request: Request<Parcel>) -> Result<Response<Receipt>, Status> {
        let Parcel { order_id: id, item, quantity, callback, customer } = request.into_inner();
        let order = Order { id, item, quantity, customer };
        boundary().set_attribute("order.id", order.id.clone());
        pack(&order).await;
        report(&self.http, &callback, &order, PACKED)
            .await
            .map_err(|status| Status::unavailable(format!("the gateway was not told: {status}")))?;
        self.states.send_modify(|states| {
            states.insert(order.id, PACKED);
        });
        Ok(Response::new(Receipt {}))
    }

    type TrackStream = ReceiverStream<Result<Progress, Status>>;

    /// Each step once, as it comes; the last ends the stream.
    async fn track(
        &self,
        request: Request<TrackRequest>,
    ) -> Result<Response<Self::TrackStream>, Status> {
        let order = request.into_inner().order_id;
        boundary().set_attribute("order.id", order.clone());
        let (steps, stream) = mpsc::channel(1);
        task::spawn(follow(self.states.subscribe(), order, steps));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn follow(
    mut states: watch::Receiver<HashMap<String, &'static str>>,
    order: String,
    steps: mpsc::Sender<Result<Progress, Status>>,
) {
    let mut before = None;
    loop {
        let step = states.borrow_and_update().get(&order).copied().unwrap_or("received");
        if before.replace(step) != Some(step) {
            let told = steps.send(Ok(Progress { state: step.to_owned() })).await;
            // Nobody listens any longer, or there is no more to tell.
            if told.is_err() || step == PACKED {
                return;
            }
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

#[instrument(skip_all, fields(quantity = order.quantity))]
async fn pack(order: &Order) {
    tokio::time::sleep(Duration::from_millis(4)).await;
    info!("packed {} of {}", order.quantity, order.item);
}
