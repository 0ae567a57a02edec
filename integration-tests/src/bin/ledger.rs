//! The ledger, on the command line: `ledger run --folder FOLDER`, with `KAFKA_BROKERS` set.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use integration_tests::ledger::{
    Campaign, Consume, Error, Hold, Produce, campaign, consume, hold, produce,
};

/// Whether messages are lost, doubled or torn from their trace.
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    #[command(flatten)]
    Role(Role),
}

#[derive(Debug, Subcommand)]
enum Role {
    /// A whole run, with its tally
    Run(Campaign),
    /// Send messages, and write them down
    Produce(Produce),
    /// Handle messages until SIGTERM, and write them down
    Consume(Consume),
    /// Handle some messages, fail at one, and wait to be killed
    Hold(Hold),
}

async fn run(role: Role) -> Result<ExitCode, Error> {
    match role {
        Role::Run(args) => {
            let program = std::env::current_exe().map_err(Error::Process)?;
            let tally = campaign(&program, &args).await?;
            println!("{tally}");
            return Ok(if tally.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Role::Produce(args) => produce(args).await?,
        Role::Consume(args) => consume(args).await?,
        Role::Hold(args) => hold(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let Cli::Role(role) = Cli::parse();
    match run(role).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
