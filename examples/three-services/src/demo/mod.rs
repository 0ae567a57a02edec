//! The demo: start, order, stop, judge.

mod broker;
mod children;
mod compare;
mod load;
mod queues;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use throughline::lineage::Span;
use throughline_testing::embedded::Collector;
use tokio::signal::unix::{SignalKind, signal};

use self::broker::Broker;
use self::children::{Children, Setup, Sink};
use self::load::Placed;
use self::queues::Sqs;
use crate::cli::{BreakArg, DemoArgs, Leg};
use crate::error::Error;
use crate::verdict::{Judgement, Output, keep, printed_or_closed};

/// Where spans go if they don't come to us.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    runtime.block_on(async {
        match args.broken {
            Some(BreakArg::All) => compare::run(args).await,
            Some(BreakArg::One(leg)) => once(args, Some(leg)).await,
            None => once(args, None).await,
        }
    })
}

/// One run of the demo, to its verdict.
async fn once(args: &DemoArgs, broken: Option<Leg>) -> Result<ExitCode, Error> {
    if std::env::var(ENDPOINT).is_ok_and(|endpoint| !endpoint.trim().is_empty()) {
        return elsewhere(args, broken).await;
    }
    // Before anything runs: who can't keep the spans should hear of it now.
    let file = match &args.spans {
        Some(path) => {
            let created = File::create(path);
            Some(created.map_err(|cause| Error::Write { path: path.clone(), cause })?)
        }
        None => None,
    };
    let Run { placed, spans } = record(args, broken).await?;
    if let (Some(file), Some(path)) = (file, &args.spans) {
        keep(file, &spans).map_err(|cause| Error::Write { path: path.clone(), cause })?;
    }
    let judgement = Judgement::of(spans).expect(placed.orders, placed.failures.len());
    Output { trees: args.trees, json: args.json }.print(&judgement)?;
    if !judgement.is_whole() {
        placed.tell_what_went_wrong();
    }
    Ok(judgement.exit_code())
}

/// What one run left behind.
struct Run {
    placed: Placed,
    spans: Vec<Span>,
}

/// Runs the services against a collector of our own. The spans are all there is afterwards: which
/// call was swapped is forgotten.
async fn record(args: &DemoArgs, broken: Option<Leg>) -> Result<Run, Error> {
    let collector =
        Collector::start().await.map_err(|error| Error::Collector(error.to_string()))?;
    let sink = Sink::Here(collector.endpoint());
    let placed = place_orders(args, broken, &sink).await?;
    Ok(Run { placed, spans: collector.spans() })
}

/// Runs the services against a collector of the user's, who will look at the traces there.
async fn elsewhere(args: &DemoArgs, broken: Option<Leg>) -> Result<ExitCode, Error> {
    if args.json || args.spans.is_some() {
        return Err(Error::NotHere(ENDPOINT));
    }
    let placed = place_orders(args, broken, &Sink::Elsewhere).await?;
    let mut out = std::io::stdout().lock();
    // The endpoint itself isn't shown: it may hold a password.
    printed_or_closed(writeln!(
        out,
        "{placed}\nThe spans went to the collector of {ENDPOINT}, so they are not judged here."
    ))?;
    placed.tell_what_went_wrong();
    Ok(if placed.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn place_orders(args: &DemoArgs, broken: Option<Leg>, sink: &Sink) -> Result<Placed, Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let (broker, sqs) = (Broker::ready()?, Sqs::ready()?);
    let mut children = Children::new(Setup {
        sink,
        brokers: broker.brokers(),
        sqs: sqs.access(),
        broken,
        fail_once: args.fail_once,
        poison: args.poison,
        show_logs: args.logs,
    })?;
    let result = tokio::select! {
        result = start_and_place(args, &mut children) => result,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    };
    // Whatever happened, nothing of ours is left running. Who asks a second time doesn't want to
    // wait: the services are killed.
    let stopped = tokio::select! {
        stopped = children.stop() => stopped,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    };
    let mut placed = result?;
    placed.complaints = stopped?;
    Ok(placed)
}

async fn start_and_place(args: &DemoArgs, children: &mut Children<'_>) -> Result<Placed, Error> {
    let gateway = children.start(args.port).await?;
    tokio::select! {
        placed = load::place(&gateway, args.orders, args.concurrency, load::PATIENCE) => placed,
        died = children.one_dies() => Err(died),
    }
}
