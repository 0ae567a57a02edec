//! The audit task of `orders`: part of the order, though nobody waits for it.

use throughline::task;
use tokio::task::JoinHandle;
use tracing::{info, instrument};

#[expect(clippy::disallowed_methods, reason = "the break that the demo shows")]
pub(crate) fn audit(order: String, raw: bool) -> JoinHandle<()> {
    if raw { tokio::spawn(write_audit(order)) } else { task::spawn(write_audit(order)) }
}

#[instrument(name = "audit", skip_all, fields(order.id = %order))]
async fn write_audit(order: String) {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    info!("order {order} is in the audit trail");
}
