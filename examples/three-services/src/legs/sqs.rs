//! fulfilment → fulfilment over SQS: a pickup is asked for, and booked when the carrier gets to it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::json;
use throughline::core::error_chain;
use throughline::sqs::{Interceptor, Queue};
use tracing::warn;

use crate::access::Access;
use crate::order::PlacedOrder;

/// The queue of the pickups that were asked for.
pub(crate) const PICKUPS: &str = "pickups";
/// Where those go that fail each time.
pub(crate) const DEAD: &str = "pickups-dead";

/// How often a pickup is tried.
const TRIES: u32 = 3;
/// How long one that has failed has to wait; SQS counts in whole seconds.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long SQS waits for messages, and a service that stops for SQS: no shorter wait is known.
const WAIT: Duration = Duration::from_secs(1);
/// How long a call may take, with all its tries.
const ANSWER: Duration = Duration::from_secs(5);

/// The codes of a queue that isn't there, as AWS and others send them.
const GONE: [&str; 2] = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];

/// Both queues, by their URLs.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    access: Access,
    pickups: String,
    dead: String,
}

/// Why a queue is neither there nor created.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct NoQueue {
    pub(crate) queue: &'static str,
    cause: String,
}

impl NoQueue {
    /// The calls fail by types of their own.
    fn of<E>(queue: &'static str) -> impl Fn(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        move |error| {
            let cause = match (error.code(), error.raw_response()) {
                (Some(code), _) => format!("{code}: {}", error.message().unwrap_or_default()),
                (None, Some(answer)) => {
                    let status = answer.status();
                    format!("the answer is no SQS's, HTTP {status}: {}", error_chain(&error))
                }
                (None, None) => error_chain(&error),
            };
            NoQueue { queue, cause }
        }
    }
}

/// Asks for pickups.
pub(crate) struct Requests {
    sqs: Client,
    url: String,
}

impl Queues {
    /// Finds both queues, and creates what is missing: a pickup that has failed [`TRIES`] times goes
    /// to the dead letters, trace and all.
    pub(crate) async fn find_or_create(access: &Access) -> Result<Self, NoQueue> {
        let sqs = Client::from_conf(config(access).build());
        let dead = match find(&sqs, DEAD).await? {
            Some(url) => url,
            None => create(&sqs, DEAD, None).await?,
        };
        let pickups = match find(&sqs, PICKUPS).await? {
            Some(url) => {
                if attribute(&sqs, PICKUPS, &url, Name::RedrivePolicy).await?.is_none() {
                    warn!("`{PICKUPS}` has no redrive policy: what fails comes again for ever");
                }
                url
            }
            None => {
                let arn = attribute(&sqs, DEAD, &dead, Name::QueueArn).await?;
                let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": TRIES });
                create(&sqs, PICKUPS, Some((Name::RedrivePolicy, redrive.to_string()))).await?
            }
        };
        Ok(Queues { access: access.clone(), pickups, dead })
    }

    pub(crate) fn requests(&self, raw: bool) -> Requests {
        let config = config(&self.access);
        // The break that the demo shows is an interceptor that isn't there.
        let config = if raw { config } else { config.interceptor(Interceptor::new()) };
        Requests { sqs: Client::from_conf(config.build()), url: self.pickups.clone() }
    }

    pub(crate) fn pickups(&self) -> Queue {
        self.queue(&self.pickups).backoff(BACKOFF, BACKOFF)
    }

    /// What fails here as well stays here: it is tried less and less often.
    pub(crate) fn dead_letters(&self) -> Queue {
        self.queue(&self.dead)
    }

    /// A message that comes without its trace has lost it.
    fn queue(&self, url: &str) -> Queue {
        let sqs = Client::from_conf(config(&self.access).build());
        Queue::new(sqs, url).expect_parent(true).wait_time(WAIT)
    }
}

impl Requests {
    /// Waits until SQS has the message.
    pub(crate) async fn ask(
        &self,
        order: &PlacedOrder,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let body = serde_json::to_string(order)?;
        self.sqs.send_message().queue_url(&self.url).message_body(body).send().await?;
        Ok(())
    }
}

async fn find(sqs: &Client, queue: &'static str) -> Result<Option<String>, NoQueue> {
    match sqs.get_queue_url().queue_name(queue).send().await {
        Ok(found) => Ok(found.queue_url),
        // The type of this error holds for AWS alone, which sends the older code beside it.
        Err(error) if error.code().is_some_and(|code| GONE.contains(&code)) => Ok(None),
        Err(error) => Err(NoQueue::of(queue)(error)),
    }
}

async fn create(
    sqs: &Client,
    queue: &'static str,
    attribute: Option<(Name, String)>,
) -> Result<String, NoQueue> {
    let attributes = attribute.map(|it| HashMap::from([it]));
    let create = sqs.create_queue().queue_name(queue).set_attributes(attributes);
    let created = create.send().await.map_err(NoQueue::of(queue))?;
    created.queue_url.ok_or_else(|| NoQueue { queue, cause: "it was given no URL".to_owned() })
}

async fn attribute(
    sqs: &Client,
    queue: &'static str,
    url: &str,
    name: Name,
) -> Result<Option<String>, NoQueue> {
    let get = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let got = get.send().await.map_err(NoQueue::of(queue))?;
    Ok(got.attributes.and_then(|mut attributes| attributes.remove(&name)))
}

fn config(access: &Access) -> Builder {
    let Access { endpoint, region, key_id, secret, session } = access.clone();
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region))
        .credentials_provider(Credentials::new(key_id, secret, session, None, "environment"))
        // Plain, as SQS_ENDPOINT has to be.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard())
        .timeout_config(TimeoutConfig::builder().operation_timeout(ANSWER).build())
}
