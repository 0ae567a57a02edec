//! What can be asked for on the command line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use reqwest::Url;
use throughline::lineage::Class;

const SURROUNDINGS: &str = "\
Kafka, SQS and the collector are embedded, unless KAFKA_BROKERS (host:port), SQS_ENDPOINT
(http://host:port, beside AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION) or
OTEL_EXPORTER_OTLP_ENDPOINT names one that is there already. Started by hand, `orders` and
`fulfilment` need KAFKA_BROKERS, and `fulfilment` SQS_ENDPOINT, too.";

/// Three services, one unbroken trace an order.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = SURROUNDINGS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) demo: DemoArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the three services, place orders, stop the services and judge their spans (default)
    Demo(DemoArgs),
    /// Judge the spans of a file that `demo --spans FILE`, or a Collector, has written
    Verdict(VerdictArgs),
    /// The public edge, and the internal port for callbacks
    Gateway(GatewayArgs),
    /// Takes orders, hands them on, keeps an audit trail in a spawned task, announces them on Kafka
    Orders(OrdersArgs),
    /// Packs the goods, schedules what is announced on Kafka, has it fetched by way of SQS, and calls
    /// the gateway back
    Fulfilment(FulfilmentArgs),
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How many orders to place
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) orders: u32,
    /// How many orders to have under way at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) concurrency: u32,
    /// Swap one call for the raw library's (http, grpc, kafka, spawn, sqs), or each in its turn (all)
    #[arg(long = "break", value_name = "LEG")]
    pub(crate) broken: Option<BreakArg>,
    /// Let the first event of the run fail: it comes again, in the same trace
    #[arg(long)]
    pub(crate) fail_once: bool,
    /// Let the first pickup of the run fail each time: it ends as a dead letter, in the same trace
    #[arg(long)]
    pub(crate) poison: bool,
    /// How many traces to show as trees, each with those that are linked to it
    #[arg(long, default_value_t = 3)]
    pub(crate) trees: usize,
    /// Print traces and verdict as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the spans in this file, as OTLP JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) spans: Option<PathBuf>,
    /// The gateway's public port; any free one unless given
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Show the services' logs
    #[arg(long)]
    pub(crate) logs: bool,
}

#[derive(Args, Debug)]
pub(crate) struct VerdictArgs {
    /// OTLP JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) spans: PathBuf,
    /// How many traces to show as trees, each with those that are linked to it
    #[arg(long, default_value_t = 0)]
    pub(crate) trees: usize,
    /// Print traces and verdict as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every service can be told.
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// The port to listen on; any free one unless given
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Swap a call of this service for the raw library's
    #[arg(long = "break", value_name = "LEG")]
    pub(crate) broken: Option<Leg>,
    /// Stop when standard input closes, so that nothing outlives the demo
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// The port for callbacks; any free one unless given
    #[arg(long, default_value_t = 0)]
    pub(crate) internal_port: u16,
    /// Where others reach the port for callbacks, if not at the address it listens on
    #[arg(long, value_name = "URL")]
    pub(crate) callback: Option<Url>,
    /// Where `orders` listens
    #[arg(long, value_name = "URL")]
    pub(crate) orders: Url,
}

#[derive(Args, Debug)]
pub(crate) struct OrdersArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Where `fulfilment` listens
    #[arg(long, value_name = "URL")]
    pub(crate) fulfilment: Url,
}

#[derive(Args, Debug)]
pub(crate) struct FulfilmentArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Fail at the first event; it comes again
    #[arg(long)]
    pub(crate) fail_once: bool,
    /// Fail at the first pickup each time it comes; it ends as a dead letter
    #[arg(long)]
    pub(crate) poison: bool,
}

/// A place where a context has to be carried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Leg {
    /// gateway → orders, by a plain `reqwest` client
    Http,
    /// orders → fulfilment, by a plain `tonic` channel
    Grpc,
    /// orders → fulfilment, by `rdkafka`'s own `FutureProducer`
    Kafka,
    /// the audit task of orders, by `tokio::spawn`
    Spawn,
    /// fulfilment → fulfilment, by a plain client of `aws_sdk_sqs`
    Sqs,
}

impl Leg {
    /// The class of break that its raw call has to be named as.
    pub(crate) fn class(self) -> Class {
        match self {
            Leg::Http => Class::Http,
            Leg::Grpc => Class::Grpc,
            Leg::Kafka => Class::Kafka,
            Leg::Spawn => Class::Task,
            Leg::Sqs => Class::Sqs,
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", PossibleValue::get_name))
    }
}

/// [`Leg`], or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakArg {
    One(Leg),
    All,
}

impl FromStr for BreakArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(BreakArg::All);
        }
        Leg::from_str(text, false).map(BreakArg::One).map_err(|_| {
            let legs: Vec<_> = Leg::value_variants().iter().map(ToString::to_string).collect();
            format!("there is no such leg; choose one of {}, or all", legs.join(", "))
        })
    }
}
