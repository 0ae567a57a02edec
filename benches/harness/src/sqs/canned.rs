//! What answers as SQS would, from memory.

use super::{BATCH, message, text};
use crate::spans::Seen;
use crate::{Mode, PARENT_SPAN_ID, TRACE_ID};
use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::sync::{Mutex, OnceLock};

/// What was sent, of a `check`.
pub(super) static SENT: OnceLock<Mutex<Vec<String>>> = OnceLock::new();

/// The answers, each made once.
#[derive(Debug)]
pub(super) struct Canned {
    sent: Bytes,
    batch: Bytes,
    /// What is received by those who ask for no attributes.
    bare: Bytes,
    /// And by those who do.
    full: Bytes,
    /// Whether attributes are asked for: with each call, or with none.
    asks: OnceLock<bool>,
}

/// The `traceparent` that messages bring.
pub(super) fn parent(mode: Mode) -> Option<String> {
    match mode {
        Mode::Sampled => Some(format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-01")),
        Mode::Unsampled => Some(format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-00")),
        Mode::Dropped => None,
    }
}

impl Canned {
    fn new(mode: Mode) -> Self {
        let sent: Vec<_> = (0..BATCH)
            .map(|id| {
                format!(r#"{{"Id":"{id}","MessageId":"{}","MD5OfMessageBody":"0"}}"#, message(id))
            })
            .collect();
        let received = |attributes: &str| {
            let message = |id| {
                format!(
                    r#"{{"MessageId":"{}","ReceiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a{id}","Body":"one book","MD5OfBody":"0"{attributes}}}"#,
                    message(id),
                )
            };
            let messages: Vec<_> = (0..BATCH).map(message).collect();
            Bytes::from(format!(r#"{{"Messages":[{}]}}"#, messages.join(",")))
        };
        let attribute = parent(mode).map(|value| {
            format!(
                r#","MD5OfMessageAttributes":"0","MessageAttributes":{{"traceparent":{{"StringValue":"{value}","DataType":"String"}}}}"#
            )
        });
        let sent = sent.join(",");
        Canned {
            sent: Bytes::from(format!(
                r#"{{"MessageId":"{}","MD5OfMessageBody":"0"}}"#,
                message(0)
            )),
            batch: Bytes::from(format!(r#"{{"Successful":[{sent}],"Failed":[]}}"#)),
            bare: received(""),
            full: received(&attribute.unwrap_or_default()),
            asks: OnceLock::new(),
        }
    }

    fn answer(&self, request: &HttpRequest) -> Bytes {
        let body = || String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let answer = match target {
            "AmazonSQS.SendMessage" => &self.sent,
            "AmazonSQS.ReceiveMessage" => {
                let asks = *self.asks.get_or_init(|| {
                    let body = body();
                    body.contains("traceparent") || body.contains("\"All\"")
                });
                if asks { &self.full } else { &self.bare }
            }
            _ => &self.batch,
        };
        if let Some(sent) = SENT.get() {
            sent.lock().expect("nothing panics in here").push(body().into_owned());
        }
        answer.clone()
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(200).expect("it is one");
        let mut response = HttpResponse::new(status, SdkBody::from(self.answer(&request)));
        let headers = response.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.0");
        headers.insert("x-amzn-requestid", "d7f6b1a4-6a2b-5d7d-b3c1-e5a1d0a6c7a1");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// A client's way to it.
pub(super) fn client(mode: Mode) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Canned::new(mode));
    http_client_fn(move |_, _| connector.clone())
}

/// The contexts in what was sent: one for each message.
pub(super) fn contexts() -> Result<Vec<Seen>, String> {
    let sent = SENT.get().ok_or("nothing was sent")?.lock().map_err(text)?;
    let mut seen = Vec::new();
    for body in &*sent {
        for attribute in body.split(r#""traceparent":{"#).skip(1) {
            let value = attribute.split(r#""StringValue":""#).nth(1).ok_or("no value")?;
            seen.push(crate::traceparent(value.split('"').next().unwrap_or_default())?);
        }
    }
    Ok(seen)
}
