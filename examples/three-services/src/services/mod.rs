//! The three services, and what they have in common.

pub(crate) mod fulfilment;
pub(crate) mod gateway;
pub(crate) mod orders;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use reqwest::Url;
use reqwest_middleware::ClientWithMiddleware;
use throughline::reqwest::ClientMiddleware;
use throughline::{boundary, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{debug, info};

use crate::cli::ServiceArgs;
use crate::error::Error;

/// What a line of standard output begins with that tells where a service listens. Not a log
/// record, which `RUST_LOG` could filter away.
pub(crate) const LISTENING: &str = "listening at ";

/// Where Kafka is, for those who need it.
pub(crate) const BROKERS: &str = "KAFKA_BROKERS";

/// Runs a service: telemetry first and last, so that every span between is sent.
fn run<F: Future<Output = Result<(), Error>>>(
    service: &'static str,
    serve: impl FnOnce() -> F,
) -> Result<ExitCode, Error> {
    let telemetry =
        telemetry::init(service).map_err(|cause| Error::Telemetry { service, cause })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    runtime.block_on(serve())?;
    drop(runtime);
    drop(telemetry);
    Ok(ExitCode::SUCCESS)
}

async fn listen(
    service: &'static str,
    flag: &'static str,
    host: IpAddr,
    port: u16,
) -> Result<TcpListener, Error> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { service, flag, address },
        _ => Error::Listen { service, address, cause },
    })
}

/// Where Kafka is.
fn brokers(service: &'static str) -> Result<String, Error> {
    brokers_given().ok_or(Error::NoBrokers { service })
}

/// Where the environment says that Kafka is, if it does.
pub(crate) fn brokers_given() -> Option<String> {
    std::env::var(BROKERS).ok().filter(|brokers| !brokers.trim().is_empty())
}

fn url(service: &'static str, listener: &TcpListener) -> Result<String, Error> {
    let address = listener.local_addr().map_err(|cause| Error::Serve { service, cause })?;
    Ok(format!("http://{address}"))
}

/// A path of another service.
fn endpoint(service: &'static str, base: &Url, path: &str) -> Result<Url, Error> {
    base.join(path).map_err(|cause| Error::Url { service, url: base.clone(), cause })
}

/// Serves until `stop` is told. Probes of `/health` are outside of every layer: no spans.
async fn serve(
    service: &'static str,
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let router = router.route("/health", get(async || StatusCode::NO_CONTENT));
    // Small frames of HTTP/2 would wait for each other's acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!("frames will wait: {error}");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // An error means that nobody is left to tell us: that is a stop as well.
            let _stopped = stop.wait_for(|stop| *stop).await;
        })
        .await
        .map_err(|cause| Error::Serve { service, cause })
}

/// Becomes true at SIGTERM, at Ctrl-C, or when the demo that started us is gone.
fn stop(service: &'static str, args: &ServiceArgs) -> Result<watch::Receiver<bool>, Error> {
    let caught = |cause| Error::Serve { service, cause };
    let mut terminate = signal(SignalKind::terminate()).map_err(caught)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(caught)?;
    let (sender, stop) = watch::channel(false);
    if args.stop_with_stdin {
        let sender = sender.clone();
        // A thread, since a runtime waits for its own reads of standard input when it ends.
        #[expect(clippy::disallowed_methods, reason = "the end of a process is of no trace")]
        std::thread::spawn(move || {
            // Closed or broken, it comes to the same.
            let _rest = io::copy(&mut io::stdin(), &mut io::sink());
            sender.send_replace(true);
        });
    }
    #[expect(clippy::disallowed_methods, reason = "the end of a process is of no trace")]
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(stop)
}

/// The client that every service uses: each request carries the trace.
fn client() -> ClientWithMiddleware {
    reqwest_middleware::ClientBuilder::new(raw_client()).with(ClientMiddleware::new()).build()
}

/// A client without a trace, and without a proxy: everything is on this machine.
fn raw_client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()
        .unwrap_or_default()
}

fn announce(service: &'static str, listener: &TcpListener) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let told = writeln!(out, "{LISTENING}{}", url(service, listener)?).and_then(|()| out.flush());
    told.map_err(|cause| Error::Serve { service, cause })
}

/// What a service answers once it has handed an order on: as the next service did.
fn handed_on(
    next: &str,
    order: &str,
    answer: Result<reqwest::Response, reqwest_middleware::Error>,
) -> Result<StatusCode, StatusCode> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(StatusCode::CREATED),
        Ok(answer) => {
            info!("{next} answered order {order} with {}", answer.status());
            Err(StatusCode::BAD_GATEWAY)
        }
        Err(error) => {
            boundary().fail(&error);
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}
