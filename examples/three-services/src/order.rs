//! What travels between the services.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) item: String,
    pub(crate) quantity: u32,
    /// Nobody's business but ours: on no span, and in no line of a log.
    #[serde(default)]
    pub(crate) customer: String,
}

/// An order on its way inside, with the address to report to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PlacedOrder {
    #[serde(flatten)]
    pub(crate) order: Order,
    pub(crate) callback: String,
}

/// It was taken, and is on its way inside.
pub(crate) const RECEIVED: &str = "received";
/// The goods are in their box.
pub(crate) const PACKED: &str = "packed";
/// The shipment has its place in a lorry.
pub(crate) const SCHEDULED: &str = "scheduled";
/// The lorry comes to fetch it, and nothing is left to do.
pub(crate) const BOOKED: &str = "booked";
/// It comes to the same: somebody phones the carrier, whose system books nothing.
pub(crate) const BY_HAND: &str = "by-hand";
/// Its customer was told so, and nothing more will come.
pub(crate) const FAILED: &str = "failed";

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct OrderState {
    pub(crate) state: String,
}
