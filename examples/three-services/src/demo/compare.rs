//! `--break all`: each raw call against ours, in one table.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use super::{Run, record};
use crate::cli::{DemoArgs, Leg};
use crate::error::Error;
use crate::verdict::{Judgement, printed_or_closed};

#[derive(Serialize)]
struct Table {
    passed: bool,
    rows: Vec<Row>,
}

/// One raw call against ours.
#[derive(Serialize)]
struct Row {
    leg: String,
    raw: Side,
    named: Vec<String>,
    replacement: Option<&'static str>,
    ours: Side,
    /// Whether the raw call was named as what it is, and nothing else was.
    is_named: bool,
}

#[derive(Clone, Copy, Serialize)]
struct Side {
    traces: usize,
    orphans: usize,
}

impl Side {
    fn of(judgement: &Judgement) -> Self {
        Side { traces: judgement.traces(), orphans: judgement.verdict.summary.orphans }
    }
}

pub(super) async fn run(args: &DemoArgs) -> Result<ExitCode, Error> {
    if args.spans.is_some() {
        return Err(Error::ManyRuns);
    }
    let ours = judge(args, None).await?;
    let mut rows = Vec::new();
    for leg in Leg::value_variants() {
        let raw = judge(args, Some(*leg)).await?;
        rows.push(Row::new(*leg, &raw, Side::of(&ours)));
    }
    let passed = ours.is_whole() && rows.iter().all(|row| row.is_named);
    let table = Table { passed, rows };
    let mut out = io::stdout().lock();
    let printed = if args.json { table.json(&mut out) } else { table.text(&mut out, args.orders) };
    printed_or_closed(printed.and_then(|()| out.flush()))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn judge(args: &DemoArgs, broken: Option<Leg>) -> Result<Judgement, Error> {
    let Run { placed, spans } = record(args, broken).await?;
    Ok(Judgement::of(spans).expect(placed.orders, placed.failures.len()))
}

impl Row {
    /// Compares the verdict, which knows nothing of the leg, with the leg.
    fn new(leg: Leg, raw: &Judgement, ours: Side) -> Self {
        let breaks = &raw.verdict.breaks;
        let mut named: Vec<_> = breaks.iter().map(|found| found.class.to_string()).collect();
        named.sort();
        named.dedup();
        Row {
            leg: leg.to_string(),
            is_named: named == [leg.class().to_string()],
            raw: Side::of(raw),
            named,
            replacement: breaks.iter().find_map(|found| found.replacement),
            ours,
        }
    }
}

impl Table {
    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    fn text(&self, out: &mut impl Write, orders: u32) -> io::Result<()> {
        writeln!(out, "orders a run: {orders}\n")?;
        writeln!(out, "{:<7} {:>23}  {:<9} {:>23}  use instead", "call", "raw", "named", "ours")?;
        for Row { leg, raw, named, replacement, ours, .. } in &self.rows {
            let side = |side: &Side| format!("{} traces, {} orphans", side.traces, side.orphans);
            let (raw, named, ours) = (side(raw), named.join(", "), side(ours));
            let replacement = replacement.unwrap_or("-");
            writeln!(out, "{leg:<7} {raw:>23}  {named:<9} {ours:>23}  {replacement}")?;
        }
        let verdict = if self.passed {
            "PASS  every raw call breaks the trace and is named; with ours the trace is whole"
        } else {
            "FAIL  a break was not found or not named, or a trace of ours is in pieces"
        };
        writeln!(out, "\n{verdict}")
    }
}
