//! Three services, one unbroken trace an order.
//!
//! `demo` (the default) starts the three services from this very executable, places orders, stops
//! them, and judges the spans that came in. `--break` swaps one call for the raw library's, to
//! see what becomes of the trace.
#![forbid(unsafe_code)]

mod access;
mod cli;
mod demo;
mod error;
mod legs;
mod order;
mod services;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command, demo } = Cli::parse();
    let result = match command.unwrap_or(Command::Demo(demo)) {
        Command::Demo(args) => demo::run(&args),
        Command::Verdict(args) => verdict::run(&args),
        Command::Gateway(args) => services::gateway::run(args),
        Command::Orders(args) => services::orders::run(args),
        Command::Fulfilment(args) => services::fulfilment::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}
