//! In between: the life of the span, on both sides.

use std::fmt::Display;
use std::future::pending;
use std::net::SocketAddr;

use opentelemetry::trace::SpanKind;
use throughline_core::{Config, Description, End, semconv};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::frame::{Frame, FrameError};
use crate::{extract, inject};

/// A frame that carries an error begins its body with this.
const FAILED: u8 = 1;
const SUCCEEDED: u8 = 0;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The frames didn't get through.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The server's handler failed, and said this.
    #[error("the server failed: {0}")]
    Server(String),
}

fn config() -> Config {
    Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

impl Default for Server {
    fn default() -> Self {
        Server { config: config() }
    }
}

impl Default for Client {
    fn default() -> Self {
        Client { config: config() }
    }
}

impl Server {
    /// With these settings.
    #[must_use]
    pub fn configure(self, change: impl FnOnce(Config) -> Config) -> Self {
        Server { config: change(self.config) }
    }

    /// Serves the one request of a connection: extract, process, answer.
    ///
    /// Where the client hangs up by resetting the connection, as [`Client`] does, the handler is
    /// dropped, and its span ends as cancelled. A client that only has no more to say is answered.
    ///
    /// # Errors
    ///
    /// When the frames don't get through.
    pub async fn serve<F, E>(&self, connection: TcpStream, handler: F) -> Result<(), FrameError>
    where
        F: AsyncFnOnce(Frame) -> Result<Vec<u8>, E>,
        E: Display,
    {
        let (mut input, mut output) = connection.into_split();
        let request = Frame::read(&mut input).await?;
        let extraction = self.config.extract(&extract::FrameHeaders(&request.headers));
        let span = self.config.receive(extraction, SpanKind::Server, || {
            let mut span = Description::new("handle frame", 4);
            span.set(semconv::RPC_SYSTEM_NAME, "frames");
            span
        });
        let work = span.process(async move { handler(request).await });
        let (result, span) = tokio::select! {
            done = work => done,
            () = reset(&mut input) => return Ok(()),
        };
        let (status, body) = match result {
            Ok(body) => {
                span.end(End::Completed);
                (SUCCEEDED, body)
            }
            Err(error) => {
                span.end(End::failed_saying::<E>(&error));
                (FAILED, error.to_string().into_bytes())
            }
        };
        let body = [&[status], &*body].concat();
        Frame { headers: Vec::new(), body }.write(&mut output).await
    }
}

/// Ends when the connection is reset, and not before.
async fn reset(input: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 64];
    loop {
        match input.read(&mut rest).await {
            // Its writing half is closed. Whether the other one is, nobody can see from here.
            Ok(0) => pending().await,
            // One request a connection: what comes behind it is none of the handler's.
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

impl Client {
    /// With these settings.
    #[must_use]
    pub fn configure(self, change: impl FnOnce(Config) -> Config) -> Self {
        Client { config: change(self.config) }
    }

    /// Sends a request, and waits for its answer. To drop the future hangs up.
    ///
    /// # Errors
    ///
    /// When the frames don't get through, or the server fails.
    pub async fn call(&self, to: SocketAddr, mut request: Frame) -> Result<Vec<u8>, CallError> {
        let span = self.config.send(SpanKind::Client, || {
            let mut span = Description::new("call", 4);
            span.set(semconv::SERVER_ADDRESS, to.ip().to_string());
            span.set(semconv::SERVER_PORT, i64::from(to.port()));
            span
        });
        self.config.inject(span.context(), &mut inject::FrameHeaders(&mut request.headers));
        let (result, span) = span.process(exchange(to, request)).await;
        span.end(match &result {
            Ok(_) => End::Completed,
            Err(error) => End::failed_saying::<CallError>(error),
        });
        result
    }
}

async fn exchange(to: SocketAddr, request: Frame) -> Result<Vec<u8>, CallError> {
    let mut connection = TcpStream::connect(to).await.map_err(FrameError::Io)?;
    // Whoever is dropped before the answer resets the connection: a mere end looks like that of a
    // client which waits.
    connection.set_zero_linger().map_err(FrameError::Io)?;
    request.write(&mut connection).await?;
    let answer = Frame::read(&mut connection).await?;
    match answer.body.split_first() {
        Some((&SUCCEEDED, body)) => Ok(body.to_vec()),
        Some((_, said)) => Err(CallError::Server(String::from_utf8_lossy(said).into_owned())),
        None => Err(CallError::Frame(FrameError::Truncated)),
    }
}
