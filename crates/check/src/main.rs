#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod lint;
mod lock;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::Error;

/// Finds what breaks a trace before it runs.
///
/// Exits with 0 where nothing is wrong, with 1 where something is, and with 2 where it cannot tell.
#[derive(Debug, Parser)]
#[command(name = "throughline-check", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Finds a second OpenTelemetry in a Cargo.lock, and says who brings it.
    ///
    /// Two versions of `opentelemetry` are two sets of globals and two `Context` types: traces fall
    /// apart, and no error says so. Exits with 1 on a split of `opentelemetry`, `opentelemetry_sdk`,
    /// `opentelemetry-http`, `opentelemetry-otlp`, `tracing-opentelemetry` or `throughline-core`. Two
    /// versions of `http` are a note.
    Lock(LockArgs),
    /// Counts the raw ways out that clippy finds, and lets the count only fall.
    ///
    /// Counts what clippy's `disallowed_methods` (and `disallowed_types`) report, each place once,
    /// and compares with the baseline, method by method. Exits with 1 where one has risen. Without a
    /// baseline none is allowed. Exits with 2 where clippy has no list to find anything by.
    Lint(LintArgs),
}

#[derive(Debug, Args)]
struct LockArgs {
    /// Lock files, or folders that hold one; without any, the one of the workspace around here.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct LintArgs {
    /// What is still allowed, as `--write-baseline` wrote it [default: throughline-baseline.toml,
    /// here or above, up to the root of the workspace].
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the baseline: the first one, or a lower one. A higher one is refused.
    #[arg(long)]
    write_baseline: bool,
    /// Read clippy's messages from standard input, instead of running it:
    /// `cargo clippy --message-format=json -- --cap-lints=warn | throughline-check lint --stdin`.
    #[arg(long, conflicts_with = "cargo_args")]
    stdin: bool,
    /// What to tell `cargo clippy` [default: --workspace --all-targets], and behind another `--`
    /// what to tell clippy.
    #[arg(last = true, value_name = "CARGO ARGS")]
    cargo_args: Vec<String>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Lock(args) => lock::check(&args.paths, args.json),
        Command::Lint(args) => lint::check(&args),
    };
    let (text, verdict) = match result {
        Ok(found) => {
            (found.text, if found.is_right { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Err(error) => {
            // Nobody is left to tell where standard error is closed.
            drop(writeln!(io::stderr(), "throughline-check: {error}"));
            return ExitCode::from(2);
        }
    };
    // A reader that has seen enough (`| head`) is no reason to fail.
    drop(writeln!(io::stdout(), "{}", text.trim_end()));
    verdict
}

/// What a command found.
struct Found {
    text: String,
    is_right: bool,
}

type Result<T, E = Error> = std::result::Result<T, E>;
