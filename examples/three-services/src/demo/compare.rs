//! `--break all`: each raw call against ours, in one table.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::{Run, record};
use crate::cli::{DemoArgs, Leg};
use crate::error::Error;
use crate::verdict::Judgement;

/// One row of the table.
#[derive(Serialize)]
struct Row {
    leg: String,
    raw: Side,
    named: Vec<String>,
    replacement: Option<&'static str>,
    ours: Side,
}

#[derive(Clone, Serialize)]
struct Side {
    traces: usize,
    orphans: usize,
}

impl Side {
    fn of(judgement: &Judgement) -> Self {
        let summary = &judgement.verdict.summary;
        Side { traces: summary.traces, orphans: summary.orphans }
    }
}

pub(super) async fn run(args: &DemoArgs) -> Result<ExitCode, Error> {
    let ours = judge(args, None).await?;
    let mut rows = Vec::new();
    for leg in [Leg::Http, Leg::Spawn] {
        let raw = judge(args, Some(leg)).await?;
        let mut named: Vec<_> = raw.verdict.breaks.iter().map(|b| b.class.to_string()).collect();
        named.sort();
        named.dedup();
        let replacement = raw.verdict.breaks.iter().find_map(|found| found.replacement);
        let (raw, ours) = (Side::of(&raw), Side::of(&ours));
        rows.push(Row { leg: leg.to_string(), raw, named, replacement, ours });
    }
    let is_told = ours.is_whole() && rows.iter().all(|row| row.raw.orphans > 0);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &rows).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        table(&mut out, args.orders, &rows)?;
        writeln!(
            out,
            "{}",
            if is_told {
                "PASS  every raw call breaks the trace and is named; with ours the trace is whole"
            } else {
                "FAIL  a break was not found, or a trace of ours is in pieces"
            }
        )?;
    }
    Ok(if is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn judge(args: &DemoArgs, broken: Option<Leg>) -> Result<Judgement, Error> {
    let Run { spans, .. } = record(args, broken).await?;
    Ok(Judgement::of(spans))
}

fn table(out: &mut impl Write, orders: u32, rows: &[Row]) -> Result<(), Error> {
    writeln!(out, "{orders} orders a run\n")?;
    writeln!(out, "{:<7} {:>21}  {:<9} {:>21}  use instead", "call", "raw", "named", "ours")?;
    for Row { leg, raw, named, replacement, ours } in rows {
        let side = |side: &Side| format!("{} traces, {} orphans", side.traces, side.orphans);
        writeln!(
            out,
            "{leg:<7} {:>21}  {:<9} {:>21}  {}",
            side(raw),
            named.join(", "),
            side(ours),
            replacement.unwrap_or("-"),
        )?;
    }
    writeln!(out)?;
    Ok(())
}
