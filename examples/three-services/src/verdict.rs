//! The verdict: from the spans alone, here or anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use throughline::lineage::{Forest, Settings, Span, TraceId, Verdict, otlp};

use crate::cli::VerdictArgs;
use crate::error::Error;

/// The attribute by which the services say which order they work for.
const ORDER_ID: &str = "order.id";

pub(crate) fn run(args: &VerdictArgs) -> Result<ExitCode, Error> {
    let path = &args.spans;
    let file = File::open(path).map_err(|cause| Error::Open { path: path.clone(), cause })?;
    let spans = otlp::read(BufReader::new(file))
        .map_err(|cause| Error::Read { path: path.clone(), cause })?;
    let judgement = Judgement::of(spans);
    Output { trees: args.trees, json: args.json }.print(&judgement)?;
    Ok(judgement.exit_code())
}

/// Writes the spans as OTLP JSON lines.
pub(crate) fn keep(path: &Path, spans: &[Span]) -> Result<(), Error> {
    let written = File::create(path).and_then(|file| otlp::write(BufWriter::new(file), spans));
    written.map_err(|cause| Error::Write { path: path.to_owned(), cause })
}

/// What the spans say.
pub(crate) struct Judgement {
    forest: Forest,
    pub(crate) verdict: Verdict,
    /// The traces in which each order is found.
    orders: BTreeMap<String, BTreeSet<TraceId>>,
}

impl Judgement {
    pub(crate) fn of(spans: Vec<Span>) -> Self {
        let forest = Forest::new(spans);
        let verdict = forest.judge(&Settings::complete());
        let mut orders = BTreeMap::<String, BTreeSet<TraceId>>::new();
        for node in forest.nodes() {
            let span = node.span();
            if let Some(id) = span.attributes.get_str(ORDER_ID) {
                orders.entry(id.to_owned()).or_default().insert(span.trace_id);
            }
        }
        Judgement { forest, verdict, orders }
    }

    fn orders_in_pieces(&self) -> usize {
        self.orders.values().filter(|traces| traces.len() != 1).count()
    }

    /// Whether there are orders, each of them is one trace, and no span has lost its parent.
    pub(crate) fn is_whole(&self) -> bool {
        self.verdict.is_unbroken() && !self.orders.is_empty() && self.orders_in_pieces() == 0
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The closing line.
    fn line(&self) -> String {
        let (orders, summary) = (self.orders.len(), &self.verdict.summary);
        if self.is_whole() {
            return format!("PASS  {orders} orders in {summary}");
        }
        if orders == 0 {
            return format!("FAIL  no span tells of an order: {summary}");
        }
        let mut places = BTreeMap::<_, (usize, Option<&str>)>::new();
        for found in &self.verdict.breaks {
            let place = places.entry((found.class, &found.service, &found.span)).or_default();
            *place = (place.0 + 1, found.replacement);
        }
        let places = places.into_iter().map(|((class, service, span), (count, replacement))| {
            let hint = replacement.map(|call| format!(", use {call}")).unwrap_or_default();
            format!("{class} broken at `{span}` of {service} ({count} times{hint})")
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let pieces = self.orders_in_pieces();
        format!("FAIL  {places}; {pieces} of {orders} orders in pieces: {summary}")
    }
}

/// How a judgement is shown.
pub(crate) struct Output {
    pub(crate) trees: usize,
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    passed: bool,
    orders: usize,
    orders_in_pieces: usize,
    verdict: &'a Verdict,
    traces: &'a [throughline::lineage::Trace],
}

impl Output {
    pub(crate) fn print(&self, judgement: &Judgement) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        if self.json {
            let json = Json {
                passed: judgement.is_whole(),
                orders: judgement.orders.len(),
                orders_in_pieces: judgement.orders_in_pieces(),
                verdict: &judgement.verdict,
                traces: judgement.forest.traces(),
            };
            serde_json::to_writer_pretty(&mut out, &json).map_err(io::Error::from)?;
            writeln!(out)?;
            return Ok(());
        }
        let traces = judgement.forest.traces();
        for trace in traces.iter().take(self.trees) {
            writeln!(out, "{trace}")?;
        }
        if self.trees > 0 && traces.len() > self.trees {
            let more = traces.len() - self.trees;
            writeln!(out, "and {more} more traces, which --trees shows\n")?;
        }
        if !judgement.is_whole() {
            writeln!(out, "{}", judgement.verdict)?;
        }
        writeln!(out, "{}", judgement.line())?;
        out.flush()?;
        Ok(())
    }
}
