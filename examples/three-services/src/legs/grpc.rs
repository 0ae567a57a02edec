//! orders → fulfilment over gRPC: one call that is answered once, and one that is answered with a
//! stream.

use reqwest::Url;
use throughline::tonic::{Channel, ClientLayer};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tower::ServiceBuilder;

use self::shipping::shipping_client::ShippingClient;
use self::shipping::{Parcel, TrackRequest};
use crate::order::PlacedOrder;

/// Made from `proto/shipping/v1/shipping.proto`; `tests/it/proto.rs` says how.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::doc_markdown,
    reason = "made by a program"
)]
pub(crate) mod shipping {
    include!("shipping.v1.rs");
}

/// A client for the service `fulfilment`.
#[derive(Clone, Debug)]
pub(crate) enum Shipper {
    Traced(ShippingClient<Channel>),
    Raw(ShippingClient<tonic::transport::Channel>),
}

impl Shipper {
    /// It connects when it is first used.
    pub(crate) fn new(fulfilment: &Url, raw: bool) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(fulfilment.to_string())?;
        let channel = endpoint.connect_lazy();
        if raw {
            return Ok(Shipper::Raw(ShippingClient::new(channel)));
        }
        let layer = ClientLayer::for_endpoint(&endpoint);
        let channel: Channel = ServiceBuilder::new().layer(layer).service(channel);
        Ok(Shipper::Traced(ShippingClient::new(channel)))
    }

    /// Has an order packed.
    pub(crate) async fn ship(&self, placed: &PlacedOrder) -> Result<(), Status> {
        let request = Request::new(Parcel {
            order_id: placed.order.id.clone(),
            item: placed.order.item.clone(),
            quantity: placed.order.quantity,
            callback: placed.callback.clone(),
            customer: placed.order.customer.clone(),
        });
        match self.clone() {
            Shipper::Traced(mut client) => client.ship(request).await?,
            Shipper::Raw(mut client) => client.ship(request).await?,
        };
        Ok(())
    }

    /// How far an order is, step by step, to the end of the stream.
    pub(crate) async fn track(&self, order: &str) -> Result<Vec<String>, Status> {
        let request = Request::new(TrackRequest { order_id: order.to_owned() });
        let answer = match self.clone() {
            Shipper::Traced(mut client) => client.track(request).await?,
            Shipper::Raw(mut client) => client.track(request).await?,
        };
        let (mut stream, mut steps) = (answer.into_inner(), Vec::new());
        while let Some(progress) = stream.message().await? {
            steps.push(progress.state);
        }
        Ok(steps)
    }
}
