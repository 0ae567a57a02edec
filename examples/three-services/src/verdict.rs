//! The verdict: from the spans alone, here or anywhere else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;
use throughline::lineage::{Forest, Settings, Span, Top, Trace, TraceId, Verdict, escape, otlp};

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
pub(crate) fn keep(file: File, spans: &[Span]) -> io::Result<()> {
    otlp::write(BufWriter::new(file), spans)
}

/// What the spans say.
pub(crate) struct Judgement {
    forest: Forest,
    /// Its figures are those of the orders. How often messages are fetched, and how many at once, is
    /// chance: that is told beside them.
    pub(crate) verdict: Verdict,
    /// The traces in which each order is found.
    orders: BTreeMap<String, BTreeSet<TraceId>>,
    /// The traces that are only about another one: the requests of those who watch an order.
    linked: HashMap<TraceId, TraceId>,
    /// What whoever placed the orders knows, and no span tells: that some left none.
    shortfall: Option<String>,
}

impl Judgement {
    pub(crate) fn of(spans: Vec<Span>) -> Self {
        let forest = Forest::new(spans);
        let mut verdict = forest.judge(&Settings::complete());
        // Each of these traces is one span.
        let calls = housekeeping(&forest).count();
        verdict.summary.traces -= calls;
        verdict.summary.spans -= calls;
        let mut orders = BTreeMap::<String, BTreeSet<TraceId>>::new();
        for node in forest.nodes() {
            let span = node.span();
            if let Some(id) = span.attributes.get_str(ORDER_ID) {
                orders.entry(id.to_owned()).or_default().insert(span.trace_id);
            }
        }
        let linked = linked(&forest);
        Judgement { forest, verdict, orders, linked, shortfall: None }
    }

    /// Compares with what was placed: nothing that is lost without a trace may pass.
    pub(crate) fn expect(mut self, placed: u32, failed: usize) -> Self {
        let missing = (placed as usize).saturating_sub(self.orders.len());
        let mut parts = Vec::new();
        if failed > 0 {
            parts.push(format!("{failed} of {placed} orders failed"));
        }
        if missing > 0 {
            parts.push(format!("{missing} of {placed} orders left no span"));
        }
        self.shortfall = (!parts.is_empty()).then(|| parts.join(", "));
        self
    }

    fn in_pieces(&self) -> impl Iterator<Item = (&String, usize)> {
        // What is linked to the order's own trace is found from there, and no piece of it.
        let is_linked = |traces: &BTreeSet<_>, trace| {
            self.linked.get(trace).is_some_and(|other| traces.contains(other))
        };
        let counts = self.orders.iter().map(move |(id, traces)| {
            (id, traces.iter().filter(|trace| !is_linked(traces, trace)).count())
        });
        counts.filter(|(_, traces)| *traces != 1)
    }

    /// How many traces there are, without those that are only linked to another.
    pub(crate) fn traces(&self) -> usize {
        self.verdict.summary.traces - self.linked.len()
    }

    fn summary(&self) -> String {
        let mut text = self.verdict.summary.to_string();
        let (calls, failed) = (housekeeping(&self.forest).count(), failed(&self.forest).count());
        if calls > 0 {
            text +=
                &format!("; beside them {} that fetch or settle messages", count(calls, "call"));
        }
        if failed > 0 {
            text += &format!(", {failed} of which failed");
        }
        text
    }

    /// Whether there are orders, each of them is one trace, and no span has lost its parent.
    pub(crate) fn is_whole(&self) -> bool {
        self.verdict.is_unbroken()
            && !self.orders.is_empty()
            && self.in_pieces().next().is_none()
            && self.shortfall.is_none()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The closing line.
    fn line(&self) -> String {
        let (orders, summary) = (count(self.orders.len(), "order"), self.summary());
        if self.is_whole() {
            let all = count(self.verdict.summary.traces, "trace");
            let linked = match self.linked.len() {
                0 => String::new(),
                linked => format!(" and {linked} linked to them"),
            };
            let own = count(self.traces(), "trace") + &linked;
            return format!("PASS  {orders} in {}", summary.replacen(&all, &own, 1));
        }
        let mut reasons = self.places();
        reasons.extend(self.shortfall.clone());
        if self.orders.is_empty() {
            reasons.push("no span tells of an order".to_owned());
        }
        let pieces = self.in_pieces().count();
        match self.in_pieces().next() {
            Some((id, traces)) if reasons.is_empty() => reasons.push(format!(
                "order {} is spread over {traces} traces, and none of them has an orphan: it was \
                 placed twice, or a context was replaced on the way",
                escape(id)
            )),
            Some(_) => reasons.push(format!("{pieces} of {orders} in pieces")),
            None => {}
        }
        format!("FAIL  {}: {summary}", reasons.join("; "))
    }

    /// Where contexts were lost, by class, service and span.
    fn places(&self) -> Vec<String> {
        let mut places = BTreeMap::<_, (usize, Option<&str>)>::new();
        for found in &self.verdict.breaks {
            let place = places.entry((found.class, &found.service, &found.span)).or_default();
            *place = (place.0 + 1, found.replacement);
        }
        let places = places.into_iter().map(|((class, service, span), (times, replacement))| {
            let hint = replacement.map(|call| format!(", use {call}")).unwrap_or_default();
            // Names come from outside, and this goes to a terminal.
            let (service, span) = (escape(service), escape(span));
            format!("{class} broken at `{span}` of {service} ({}{hint})", count(times, "time"))
        });
        places.collect()
    }
}

/// The traces that are of no order: calls that fetch or settle the messages of many.
fn housekeeping(forest: &Forest) -> impl Iterator<Item = &Trace> {
    forest.traces().iter().filter(|trace| trace.is_housekeeping())
}

/// Those of them that a reader has to see.
fn failed(forest: &Forest) -> impl Iterator<Item = &Trace> {
    housekeeping(forest).filter(|trace| trace.deepest_failure().is_some())
}

/// The traces whose only root is linked to another trace, with that one.
fn linked(forest: &Forest) -> HashMap<TraceId, TraceId> {
    let ids: BTreeSet<_> = forest.traces().iter().map(Trace::id).collect();
    // To fetch messages is about whatever came, not about one order.
    let traces = forest.traces().iter().filter(|trace| !trace.is_housekeeping());
    let traces = traces.filter_map(|trace| {
        let mut tops = trace.tops();
        let (Some(top), None) = (tops.next(), tops.next()) else { return None };
        let mut links = top.span().links.iter().map(|link| link.trace_id);
        let other = links.find(|other| *other != trace.id() && ids.contains(other));
        Some((trace.id(), other.filter(|_| top.top() == Some(Top::Root))?))
    });
    traces.collect()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
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
    linked_traces: usize,
    housekeeping_traces: usize,
    shortfall: Option<&'a str>,
    verdict: &'a Verdict,
    traces: &'a [Trace],
}

impl Output {
    pub(crate) fn print(&self, judgement: &Judgement) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        let printed =
            if self.json { json(&mut out, judgement) } else { self.text(&mut out, judgement) };
        printed_or_closed(printed.and_then(|()| out.flush()))
    }

    fn text(&self, out: &mut impl Write, judgement: &Judgement) -> io::Result<()> {
        let (mut own, mut about) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for trace in judgement.forest.traces().iter().filter(|trace| !trace.is_housekeeping()) {
            match judgement.linked.get(&trace.id()) {
                Some(other) => about.entry(*other).or_default().push(trace),
                None => own.push(trace),
            }
        }
        for trace in own.into_iter().take(self.trees) {
            writeln!(out, "{trace}")?;
            for trace in about.remove(&trace.id()).unwrap_or_default() {
                writeln!(out, "{trace}")?;
            }
        }
        if self.trees > 0 && judgement.traces() > self.trees {
            let more = count(judgement.traces() - self.trees, "more trace");
            writeln!(out, "and {more}, which --trees shows\n")?;
        }
        for trace in failed(&judgement.forest).take(self.trees) {
            writeln!(out, "{trace}")?;
        }
        if !judgement.verdict.is_unbroken() {
            writeln!(out, "{}", judgement.verdict)?;
        }
        writeln!(out, "{}", judgement.line())
    }
}

fn json(out: &mut impl Write, judgement: &Judgement) -> io::Result<()> {
    let json = Json {
        passed: judgement.is_whole(),
        orders: judgement.orders.len(),
        orders_in_pieces: judgement.in_pieces().count(),
        linked_traces: judgement.linked.len(),
        housekeeping_traces: housekeeping(&judgement.forest).count(),
        shortfall: judgement.shortfall.as_deref(),
        verdict: &judgement.verdict,
        traces: judgement.forest.traces(),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}

/// Whoever reads our output may stop when he has seen enough; the exit status stays what it is.
pub(crate) fn printed_or_closed(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use throughline::lineage::{Kind, Link, Span};

    use super::Judgement;

    #[test]
    fn an_order_that_failed_or_left_no_span_does_not_pass() -> Result<(), Box<dyn std::error::Error>>
    {
        let mut order = Span::new(
            "4bf92f3577b34da6a3ce929d0e0e4736".parse()?,
            "00f067aa0ba902b7".parse()?,
            "POST",
        );
        order.kind = Kind::Server;
        order.attributes.push("order.id", "order-1");
        let judge = |placed, failed| Judgement::of(vec![order.clone()]).expect(placed, failed);
        assert!(judge(1, 0).line().starts_with("PASS  1 order in 1 trace"));
        assert!(judge(1, 1).line().starts_with("FAIL  1 of 1 orders failed: "));
        assert!(judge(3, 0).line().starts_with("FAIL  2 of 3 orders left no span: "));
        Ok(())
    }

    #[test]
    fn what_is_linked_to_an_order_is_no_piece_of_it() -> Result<(), Box<dyn std::error::Error>> {
        let span = |trace: &str| -> Result<_, Box<dyn std::error::Error>> {
            let mut span = Span::new(trace.parse()?, "00f067aa0ba902b7".parse()?, "GET");
            span.kind = Kind::Server;
            span.attributes.push("order.id", "order-1");
            Ok(span)
        };
        let order = span("4bf92f3577b34da6a3ce929d0e0e4736")?;
        let mut other = span("0af7651916cd43dd8448eb211c80319c")?;
        let line = |other: &Span| Judgement::of(vec![order.clone(), other.clone()]).line();
        assert!(line(&other).starts_with("FAIL  order order-1 is spread over 2 traces"));
        other.links.push(Link::new(order.trace_id, order.span_id));
        assert!(line(&other).starts_with("PASS  1 order in 1 trace and 1 linked to them, 2 spans"));
        // To what isn't there it leads nobody.
        other.links = vec![Link::new("1bf92f3577b34da6a3ce929d0e0e4736".parse()?, order.span_id)];
        assert!(line(&other).starts_with("FAIL  order order-1 is spread over 2 traces"));
        Ok(())
    }
}
