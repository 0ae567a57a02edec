//! The ledger's senders and receivers of SQS.

mod receive;
mod send;
mod witness;

use std::time::Duration;

use aws_sdk_sqs::Config;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Builder, Credentials, Region, StalledStreamProtectionConfig};
pub use receive::{Receive, receive};
pub use send::{Send, send};

/// How many messages a batch has.
pub(in crate::ledger) const BATCH: u64 = 10;

/// A client of a server that asks nobody who he is.
pub(in crate::ledger) fn config(endpoint: &str) -> Builder {
    Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        // Polls stall on a machine that has other things to do.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(20)))
}
