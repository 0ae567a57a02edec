//! What answers as SQS or SNS would, over a real socket, and fails as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::task::AbortHandle;

/// What was asked, and of which operation: `SendMessage`.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) operation: String,
    pub(crate) input: Value,
}

/// Status and body.
pub(crate) type Answer = (u16, String);

type Answers = Arc<dyn Fn(Asked) -> BoxFuture<'static, Answer> + Send + Sync>;

pub(crate) struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: AbortHandle,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// Answers everything by `answer`.
    #[expect(clippy::disallowed_methods, reason = "the other side is of no trace")]
    pub(crate) async fn start<F>(answer: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let answers: Answers = Arc::new(move |asked| Box::pin(answer(asked)));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let router = Router::new().fallback({
            let asked = Arc::clone(&asked);
            move |request: Request<Body>| {
                answered(Arc::clone(&answers), Arc::clone(&asked), request)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Stub { address, asked, task: task.abort_handle() }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("a lock").clone()
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::config::Builder {
        sqs(&self.endpoint())
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::config::Builder {
        aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.endpoint())
            .timeout_config(patient())
            .http_client(http_client())
    }
}

/// The ordinary configuration of a client.
pub(crate) fn sqs(endpoint: &str) -> aws_sdk_sqs::config::Builder {
    aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials())
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .timeout_config(patient())
        .http_client(http_client())
}

/// A machine that is busy may take its time to connect.
fn patient() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_secs(30)).build()
}

/// Without TLS.
fn http_client() -> SharedHttpClient {
    Builder::new().build_http()
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "test")
}

async fn answered(
    answers: Answers,
    log: Arc<Mutex<Vec<Asked>>>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let target = head.headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let asked = match target.and_then(|target| target.split_once('.')) {
        Some((_, operation)) => Asked {
            operation: operation.to_owned(),
            input: serde_json::from_slice(&body).expect("JSON"),
        },
        None => of_form(&body),
    };
    log.lock().expect("a lock").push(asked.clone());
    let (status, body) = answers(asked).await;
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header("x-amzn-requestid", "request-1")
        .body(Body::from(body))
        .expect("a response")
}

/// SNS is asked by a form, whose pairs become the members of a flat object.
fn of_form(body: &[u8]) -> Asked {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let body = String::from_utf8_lossy(body);
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (decoded(name), Value::from(decoded(value))));
    let input: serde_json::Map<_, _> = pairs.collect();
    let operation = input["Action"].as_str().expect("an action").to_owned();
    Asked { operation, input: Value::Object(input) }
}

/// What SQS says when it refuses.
pub(crate) fn refusal(status: u16, code: &str) -> Answer {
    let body = serde_json::json!({
        "__type": format!("com.amazonaws.sqs#{code}"), "message": "it was refused",
    });
    (status, body.to_string())
}
