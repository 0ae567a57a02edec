//! The battery, over the ordinary clients with the interceptor, and a real socket.
//!
//! The body of a message says which message of the battery it is.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]
#![allow(dead_code, reason = "the stub knows more than is asked of it here")]

#[path = "sqs/stub.rs"]
mod stub;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use opentelemetry::trace::SpanKind;
use serde_json::{Value, json};
use stub::{Answer, Asked, Stub, refusal};
use throughline_sqs::Interceptor;
use throughline_testing::battery::{self, Headers, Outbound, Peer, Setup};
use tokio::sync::Semaphore;

/// A thousand messages are signed by a program that nobody has optimised.
const PATIENCE: Duration = Duration::from_secs(30);

type Peers = Arc<Mutex<HashMap<String, Peer>>>;

/// How a service sends.
#[derive(Clone, Copy)]
enum Sends {
    One,
    /// Its entries carry the context of the one span.
    Batch,
    #[cfg(feature = "sns")]
    Publish,
}

struct Sqs(Sends);

struct Client {
    stub: Stub,
    sqs: aws_sdk_sqs::Client,
    #[cfg(feature = "sns")]
    sns: aws_sdk_sns::Client,
    peers: Peers,
    sockets: Semaphore,
}

/// How many sockets are open at a time: of two ends each, and three batteries run at once.
const SOCKETS: usize = 100;

fn attributes(message: &Value) -> Headers {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let text = |value: &Value| value["StringValue"].as_str().expect("a text").to_owned();
    attributes.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn form_attributes(form: &Value) -> Headers {
    let field = |number: usize, field: &str| {
        form[format!("MessageAttributes.entry.{number}.{field}")].as_str().map(str::to_owned)
    };
    let pairs = (1..)
        .map_while(|number| Some((field(number, "Name")?, field(number, "Value.StringValue")?)));
    pairs.collect()
}

async fn answer(Asked { operation, input }: Asked, peers: Peers) -> Answer {
    let take = |id: &Value| {
        let id = id.as_str().expect("a body");
        peers.lock().expect("a lock").remove(id).expect("a message of the battery, once")
    };
    match operation.as_str() {
        "SendMessage" => match take(&input["MessageBody"]).receive(attributes(&input)).await {
            Ok(()) => (200, json!({"MessageId": "1", "MD5OfMessageBody": "0"}).to_string()),
            Err(_) => refusal(400, "QueueDoesNotExist"),
        },
        "SendMessageBatch" => {
            let entry = &input["Entries"][0];
            let sent = json!({"Id": "a", "MessageId": "1", "MD5OfMessageBody": "0"});
            let failed = json!({"Id": "a", "Code": "InternalError", "SenderFault": false});
            match take(&entry["MessageBody"]).receive(attributes(entry)).await {
                Ok(()) => (200, json!({"Successful": [sent], "Failed": []}).to_string()),
                Err(_) => (200, json!({"Successful": [], "Failed": [failed]}).to_string()),
            }
        }
        _ => match take(&input["Message"]).receive(form_attributes(&input)).await {
            Ok(()) => {
                let id = "<PublishResult><MessageId>1</MessageId></PublishResult>";
                (200, format!("<PublishResponse>{id}</PublishResponse>"))
            }
            Err(_) => {
                let error = "<Error><Type>Sender</Type><Code>NotFound</Code></Error>";
                (404, format!("<ErrorResponse>{error}</ErrorResponse>"))
            }
        },
    }
}

impl Outbound for Sqs {
    type Boundary = Client;
    const KIND: SpanKind = SpanKind::Producer;
    const KEEPS_CREATION: bool = true;

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn boundary(&self, setup: Setup) -> Client {
        let peers = Peers::default();
        let stub = Stub::start({
            let peers = Arc::clone(&peers);
            move |asked| answer(asked, Arc::clone(&peers))
        });
        let stub = stub.await;
        let interceptor = Interceptor::new()
            .create_spans(false)
            .with_tracer_provider(&setup.provider)
            .with_propagator(setup.propagator);
        let sqs =
            (0..setup.layers).fold(stub.sqs(), |config, _| config.interceptor(interceptor.clone()));
        #[cfg(feature = "sns")]
        let sns =
            (0..setup.layers).fold(stub.sns(), |config, _| config.interceptor(interceptor.clone()));
        Client {
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            #[cfg(feature = "sns")]
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
            stub,
            peers,
            sockets: Semaphore::new(SOCKETS),
        }
    }

    async fn send(&self, client: &Client, headers: Headers, peer: Peer) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let _socket = client.sockets.acquire().await.expect("it is never closed");
        let id = NEXT.fetch_add(1, Relaxed).to_string();
        client.peers.lock().expect("a lock").insert(id.clone(), peer);
        let url = format!("{}/000000000000/orders", client.stub.endpoint());
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let attributes = headers.iter().map(|(name, value)| {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(text(value));
            (name.to_owned(), value.build().expect("a value"))
        });
        match self.0 {
            Sends::One => {
                let send = client.sqs.send_message().queue_url(url).message_body(id);
                drop(send.set_message_attributes(Some(attributes.collect())).send().await);
            }
            Sends::Batch => {
                let entry = SendMessageBatchRequestEntry::builder().id("a").message_body(id);
                let entry = entry.set_message_attributes(Some(attributes.collect())).build();
                let send = client.sqs.send_message_batch().queue_url(url);
                drop(send.entries(entry.expect("an entry")).send().await);
            }
            #[cfg(feature = "sns")]
            Sends::Publish => {
                use aws_sdk_sns::types::MessageAttributeValue;
                let attributes = headers.iter().map(|(name, value)| {
                    let attribute = MessageAttributeValue::builder().data_type("String");
                    let attribute = attribute.string_value(text(value)).build();
                    (name.to_owned(), attribute.expect("a value"))
                });
                let send = client.sns.publish().topic_arn("arn:aws:sns:eu-central-1:0:orders");
                let send = send.set_message_attributes(Some(attributes.collect()));
                drop(send.message(id).send().await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_conforms() {
    battery::outbound(Sqs(Sends::One)).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_a_batch_conforms() {
    battery::outbound(Sqs(Sends::Batch)).await.assert();
}

#[cfg(feature = "sns")]
#[tokio::test(flavor = "multi_thread")]
async fn publishing_conforms() {
    battery::outbound(Sqs(Sends::Publish)).await.assert();
}
