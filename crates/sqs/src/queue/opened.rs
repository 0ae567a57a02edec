use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;

use super::Queue;
use super::keeper::Keeper;
use crate::error::Error;
use crate::process::Interceptor;

/// How much longer than it waits a poll may take at least; and at the most, before its connection is
/// given up, where the client doesn't say.
pub(super) const MORE: Duration = Duration::from_secs(5);

/// What is made with a queue's first call.
#[derive(Clone)]
pub(super) struct Opened {
    /// For polls.
    pub(super) client: Client,
    pub(super) keeper: Arc<Keeper>,
}

impl Opened {
    pub(super) fn new(queue: &Queue) -> Result<Self, Error> {
        // Where the client has one, the one that was registered first does all there is to do.
        let interceptor = Interceptor::of(Arc::clone(queue.deliveries.settings()));
        let config = queue.client.config().to_builder().interceptor(interceptor).build();
        let keeping = config.to_builder().timeout_config(of_keeping(queue)).build();
        let keeping = Client::from_conf(keeping);
        let keeper = Keeper::start(keeping, queue)
            .map_err(|source| Error::Thread { queue: queue.shown().into(), source })?;
        let polling = config.to_builder().timeout_config(of_polling(queue)).build();
        Ok(Opened { client: Client::from_conf(polling), keeper })
    }
}

/// Of polls, which wait where other calls are answered at once. One that is never answered must not
/// wait for ever: the SDK knows no such limit by itself, and nobody else would receive meanwhile.
fn of_polling(queue: &Queue) -> TimeoutConfig {
    let held = queue.client.config().timeout_config();
    let held = held.map(TimeoutConfig::to_builder).unwrap_or_default().build();
    let longer = |time: Option<Duration>| {
        time.map(|time| time.max(queue.wait_time.saturating_add(time.min(MORE))))
    };
    let mut more = held.to_builder();
    let unanswered = queue.wait_time.saturating_add(MORE);
    more.set_read_timeout(longer(held.read_timeout()).or(Some(unanswered)));
    more.set_operation_timeout(longer(held.operation_timeout()));
    more.set_operation_attempt_timeout(longer(held.operation_attempt_timeout()));
    more.build()
}

/// Of the calls that keep messages. A late one is of no use; and with timeouts that nobody else
/// has, the SDK shares no connection with others, on whose runtime a handler may block.
fn of_keeping(queue: &Queue) -> TimeoutConfig {
    // What isn't set stays the SDK's default.
    let held = queue.client.config().timeout_config();
    let held = held.map(TimeoutConfig::to_builder).unwrap_or_default();
    let time = queue.visibility / 3;
    let time = time.clamp(Duration::from_secs(1), Duration::from_secs(10));
    held.read_timeout(time + Duration::from_nanos(1)).build()
}
