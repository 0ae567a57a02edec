//! gateway → orders over HTTP.

use reqwest::{Response, Url};
use reqwest_middleware::{ClientWithMiddleware, Result};

use crate::order::PlacedOrder;

/// A client for the service `orders`.
#[derive(Debug)]
pub(crate) enum OrdersClient {
    Traced(ClientWithMiddleware),
    Raw(reqwest::Client),
}

impl OrdersClient {
    pub(crate) async fn place(&self, url: Url, order: &PlacedOrder) -> Result<Response> {
        match self {
            OrdersClient::Traced(http) => http.post(url).json(order).send().await,
            #[expect(clippy::disallowed_methods, reason = "the break that the demo shows")]
            OrdersClient::Raw(http) => Ok(http.post(url).json(order).send().await?),
        }
    }
}
