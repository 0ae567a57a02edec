//! The ledger, on the command line: `ledger campaign KIND`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use integration_tests::ledger::{
    Campaign, Consume, Error, Hold, Produce, Receive, Send, consume, hold, produce, receive, send,
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
    Campaign(Campaign),
    /// Send records to Kafka, and write them down
    Produce(Produce),
    /// Handle records of Kafka until SIGTERM, and write them down
    Consume(Consume),
    /// Handle some records of Kafka, fail at one, and wait to be killed
    Hold(Hold),
    /// Send messages to SQS, and write them down
    Send(Send),
    /// Handle messages of SQS until SIGTERM, and write them down
    Receive(Receive),
}

async fn run(role: Role) -> Result<ExitCode, Error> {
    match role {
        Role::Campaign(campaign) => {
            let program = std::env::current_exe().map_err(Error::Process)?;
            let outcome = campaign.run(&program).await?;
            println!("{outcome}");
            return Ok(if outcome.is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Role::Produce(args) => produce(args).await?,
        Role::Consume(args) => consume(args).await?,
        Role::Hold(args) => hold(args).await?,
        Role::Send(args) => send(args).await?,
        Role::Receive(args) => receive(args).await?,
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
