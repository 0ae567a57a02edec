//! What can go wrong, in sentences.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use throughline::core::error_chain;
use throughline::kafka::rdkafka::error::KafkaError;
use throughline::lineage::otlp::ReadError;
use throughline::telemetry::InitError;
use throughline_testing::embedded;

use crate::access::{self, AccessError};
use crate::legs::kafka::TOPIC;
use crate::legs::sqs::NoQueue;
use crate::services::BROKERS;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "{service}: port {} of {} is taken; choose another one with --{flag}, or 0 for any free one",
        address.port(),
        address.ip()
    )]
    PortTaken { service: &'static str, flag: &'static str, address: SocketAddr },
    #[error("{service}: cannot listen at {address}: {cause}")]
    Listen { service: &'static str, address: SocketAddr, cause: io::Error },
    #[error("{service}: {cause}")]
    Serve { service: &'static str, cause: io::Error },
    #[error("{service}: {cause}")]
    Telemetry { service: &'static str, cause: InitError },
    #[error("{service}: {url} is no address of a service: {cause}")]
    Url { service: &'static str, url: reqwest::Url, cause: <reqwest::Url as FromStr>::Err },
    #[error("{service}: {url} is no address of a service: {cause}")]
    Channel { service: &'static str, url: Box<reqwest::Url>, cause: tonic::transport::Error },
    #[error("{service}: no Kafka is known; set {BROKERS} to its address, as host:port")]
    NoBrokers { service: &'static str },
    #[error("{service}: {cause}")]
    Kafka { service: &'static str, cause: KafkaError },
    #[error("{service}: {cause}")]
    Events { service: &'static str, cause: throughline::kafka::Error },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(
        "{service}: no SQS is known; set {ENDPOINT} to its address, as http://host:port",
        ENDPOINT = access::ENDPOINT
    )]
    NoSqs { service: &'static str },
    #[error("{service}: {}", error_chain(.cause))]
    Pickups { service: &'static str, cause: throughline::sqs::Error },
    #[error("{service} stopped before it was ready ({how}){said}")]
    NotStarted { service: &'static str, how: String, said: String },
    #[error(
        "{service} stopped in the middle of the run ({how}); the other services were stopped, too{said}"
    )]
    Died { service: &'static str, how: String, said: String },
    #[error("{service} wasn't ready within {seconds} s{said}")]
    NotReady { service: &'static str, seconds: u64, said: String },
    #[error(
        "{service} didn't stop within {seconds} s of SIGTERM and was killed: its last spans are lost"
    )]
    NotStopped { service: &'static str, seconds: u64 },
    #[error("interrupted: the three services were stopped, nothing is judged")]
    Interrupted,
    #[error("the embedded collector: {0}")]
    Collector(String),
    #[error(transparent)]
    EmbeddedKafka(embedded::KafkaError),
    #[error(
        "{service}: cannot find or create the topic `{TOPIC}` at {brokers}, where {BROKERS} says that Kafka is: {cause}"
    )]
    Topic { service: &'static str, brokers: String, cause: KafkaError },
    #[error(transparent)]
    EmbeddedSqs(embedded::SqsError),
    #[error(
        "{service}: cannot find or create the queue `{}` at {endpoint}, where {ENDPOINT} says that SQS is: {cause}",
        cause.queue,
        ENDPOINT = access::ENDPOINT
    )]
    Queue { service: &'static str, endpoint: String, cause: NoQueue },
    #[error("cannot start a runtime, or a service's process: {0}")]
    Start(io::Error),
    #[error("cannot read spans from {path}: {cause}", path = path.display())]
    Open { path: PathBuf, cause: io::Error },
    #[error("cannot read spans from {path}: {cause}", path = path.display())]
    Read { path: PathBuf, cause: ReadError },
    #[error("cannot write spans to {path}: {cause}", path = path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error("cannot print: {0}")]
    Output(io::Error),
    #[error("cannot make an HTTP client: {0}")]
    Customer(String),
    #[error("--json and --spans need the spans here, but {0} sends them elsewhere; unset it")]
    NotHere(&'static str),
    #[error("--break all makes several runs, and --spans keeps one: name a leg")]
    ManyRuns,
}

impl Error {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            // As a shell tells it: 128 and the number of SIGINT.
            Error::Interrupted => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}
