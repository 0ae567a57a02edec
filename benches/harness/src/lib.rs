//! Drives one variant, in process and on one thread, so often as it is told to.
//!
//! Every binary is one variant (`codecs` is many) and understands the same three commands:
//!
//! ```text
//! server-ours MODE run N      N requests, for callgrind to count
//! server-ours MODE allocs N   allocations a request (with the feature `count`)
//! server-ours MODE check      did it record what it should have? exit status 1 if not
//! ```
//!
//! A count is worth nothing if the variant did nothing: `../run` checks each
//! before it counts.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "metrics")]
pub mod meters;
#[cfg(any(feature = "rpc", feature = "server"))]
pub mod noop;
#[cfg(feature = "rpc")]
pub mod rpc;
#[cfg(feature = "server")]
pub mod server;
pub mod spans;
#[cfg(feature = "sqs")]
pub mod sqs;

use std::process::ExitCode;

/// The remote parent that every request brings, but for [`Mode::Dropped`].
pub const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
/// The span of the remote parent.
pub const PARENT_SPAN_ID: &str = "b7ad6b7169203331";

/// Who decides, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A parent that was sampled.
    Sampled,
    /// A parent that wasn't: the commonest request there is.
    Unsampled,
    /// No parent, and our own sampler says no.
    Dropped,
}

/// What a variant is expected to leave behind. Checked, never counted.
#[derive(Clone, Copy)]
pub enum Expect {
    /// It traces nothing: the layer that everything is compared with.
    Nothing,
    /// A span of this name through the given provider if sampled, none otherwise.
    Span(&'static str),
    /// It keeps its spans elsewhere, and judges for itself after `n` requests.
    Own(fn(Mode, u64) -> Result<(), String>),
}

enum Command {
    Run(u64),
    Allocs(u64),
    Check,
}

/// Enough to see whether each request gets a span, and only one.
const CHECKED: u64 = 3;

#[cfg(any(
    feature = "client",
    feature = "kafka",
    feature = "rpc",
    feature = "server",
    feature = "sqs"
))]
fn arguments() -> Result<(Mode, Command), String> {
    let mut args = std::env::args().skip(1);
    let mode = match args.next().as_deref() {
        Some("sampled") => Mode::Sampled,
        Some("unsampled") => Mode::Unsampled,
        Some("dropped") => Mode::Dropped,
        other => return Err(format!("sampled, unsampled or dropped, not {other:?}")),
    };
    Ok((mode, command(args)?))
}

fn command(mut args: impl Iterator<Item = String>) -> Result<Command, String> {
    let command = args.next();
    let mut number = || {
        let n = args.next().and_then(|n| n.parse().ok());
        n.ok_or_else(|| "how many requests?".to_owned())
    };
    match command.as_deref() {
        Some("run") => Ok(Command::Run(number()?)),
        Some("allocs") => Ok(Command::Allocs(number()?)),
        Some("check") => Ok(Command::Check),
        other => Err(format!("run, allocs or check, not {other:?}")),
    }
}

/// One small thing to do, and to be done again: what came of it is a number, for the check.
pub type Step = Box<dyn FnMut() -> usize>;

/// The whole `main` of a binary of small things, with the name of one of them in the place of the
/// mode: `find` knows them by name, and with each the number that it must come to.
pub fn steps(find: impl FnOnce(&str) -> Option<(Step, usize)>) -> ExitCode {
    let run = || {
        let mut args = std::env::args().skip(1);
        let name = args.next().unwrap_or_default();
        let (mut step, expected) = find(&name).ok_or_else(|| format!("no step {name:?}"))?;
        let mut came = expected;
        let drive = |n| (0..n).for_each(|_| came = step());
        execute(command(args)?, drive, |_| Ok(()))?;
        if came == expected { Ok(()) } else { Err(format!("{expected} expected, got {came}")) }
    };
    exit(run())
}

/// `drive(n)` makes n requests; `check(n)` judges what they left behind.
fn execute(
    command: Command,
    mut drive: impl FnMut(u64),
    check: impl FnOnce(u64) -> Result<(), String>,
) -> Result<(), String> {
    match command {
        Command::Run(n) => drive(n),
        Command::Allocs(n) => println!("{:.2}", allocations(n, drive)?),
        Command::Check => {
            drive(CHECKED);
            check(CHECKED)?;
        }
    }
    Ok(())
}

/// Of this thread alone. A reallocation counts as an allocation.
#[cfg(feature = "count")]
fn allocations(n: u64, mut drive: impl FnMut(u64)) -> Result<f64, String> {
    // What is allocated once (thread locals, interned names) is over by then.
    drive(1_000);
    let counted = allocation_counter::measure(|| drive(n));
    Ok(counted.count_total as f64 / n as f64)
}

#[cfg(not(feature = "count"))]
fn allocations(_: u64, _: impl FnMut(u64)) -> Result<f64, String> {
    Err("built without the feature `count`".to_owned())
}

fn exit(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The context in a `traceparent`.
#[cfg(any(feature = "client", feature = "kafka", feature = "rpc", feature = "sqs"))]
fn traceparent(value: &str) -> Result<spans::Seen, String> {
    use opentelemetry::{SpanId, TraceFlags, TraceId};
    let [_, trace, span, flags] = value.split('-').collect::<Vec<_>>()[..] else {
        return Err(format!("not a traceparent: {value}"));
    };
    let parse = || {
        let flags = u8::from_str_radix(flags, 16)?;
        Ok((TraceId::from_hex(trace)?, SpanId::from_hex(span)?, TraceFlags::new(flags)))
    };
    parse().map_err(|e: std::num::ParseIntError| format!("{value}: {e}"))
}

#[cfg(any(feature = "client", feature = "rpc", feature = "server"))]
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())
}
