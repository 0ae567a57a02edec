//! Whole runs: who sends and who consumes, who dies when, and what the broker does wrong meanwhile.

mod cast;
mod faults;
mod script;
mod stage;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use stage::create_topic;

use self::cast::Cast;
use self::script::{Act, script};
use self::stage::Stage;
use super::{Error, Protocol, Tally};

/// What happens in a campaign.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kafka, and nothing goes wrong: not one message may be doubled
    Straight,
    /// Kafka: consumers are killed and started again, come and go, and handlers fail
    Unrest,
    /// The embedded Kafka: it refuses requests, cuts connections and goes down
    EmbeddedKafka,
    /// SQS: consumers are killed and started again, and handlers fail
    Sqs,
    /// The same with a FIFO queue, whose groups keep their order
    Fifo,
    /// The embedded SQS: requests fail in all ways that it knows
    EmbeddedSqs,
    /// The same with a FIFO queue
    EmbeddedFifo,
}

impl Kind {
    /// How many messages are sent, and in how many steps the unrest comes.
    fn size(self) -> (u64, usize) {
        match self {
            Kind::Straight => (1_000_000, 0),
            Kind::Unrest => (200_000, 24),
            Kind::EmbeddedKafka => (50_000, 34),
            Kind::Sqs | Kind::Fifo => (20_000, 6),
            Kind::EmbeddedSqs | Kind::EmbeddedFifo => (20_000, 84),
        }
    }

    fn is_fifo(self) -> bool {
        matches!(self, Kind::Fifo | Kind::EmbeddedFifo)
    }

    /// Whether no handler fails. ElasticMQ keeps no group's order when a message is given back: that
    /// would be its doing.
    fn is_flawless(self) -> bool {
        matches!(self, Kind::Straight | Kind::Fifo)
    }
}

/// A whole run.
#[derive(clap::Args, Clone, Debug)]
pub struct Campaign {
    /// What happens
    #[arg(value_enum)]
    pub kind: Kind,
    /// How many messages to send; unless told otherwise as many as make it worth the while
    #[arg(long)]
    pub messages: Option<u64>,
    /// In how many steps the unrest comes
    #[arg(long)]
    pub steps: Option<usize>,
    /// How many consumers there are at first
    #[arg(long, default_value_t = 2)]
    pub consumers: usize,
    /// How many messages a consumer handles at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// How consumers of Kafka share their partitions; the embedded one knows the default alone
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// How long it may take in all, in seconds
    #[arg(long, default_value_t = 1_800)]
    pub patience: u64,
    /// Where the book is kept; unless told otherwise in a folder that goes when all was right
    #[arg(long)]
    pub folder: Option<PathBuf>,
}

/// What came of a campaign.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether nothing was wrong.
    pub is_right: bool,
    /// What the book says.
    pub tally: Tally,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_right { "PASS" } else { "FAIL" };
        write!(f, "{verdict} in {} s  {}", self.took.as_secs(), self.tally)
    }
}

impl Campaign {
    /// A campaign of this kind, as it is unless told otherwise.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Campaign {
            kind,
            messages: None,
            steps: None,
            consumers: 2,
            concurrency: 16,
            protocol: Protocol::default(),
            patience: 1_800,
            folder: None,
        }
    }

    /// Runs it with the processes of `program`, and tells what the book says.
    ///
    /// # Errors
    ///
    /// When there is no broker, a process can't be run or ends by itself, or when not everything was
    /// handled in time.
    pub async fn run(&self, program: &Path) -> Result<Outcome, Error> {
        let (messages, steps) = self.kind.size();
        let (messages, steps) = (self.messages.unwrap_or(messages), self.steps.unwrap_or(steps));
        let (folder, is_ours) = match &self.folder {
            Some(folder) => (folder.clone(), false),
            None => (std::env::temp_dir().join(format!("ledger-{}", std::process::id())), true),
        };
        let path = folder.join("book");
        let failed = |cause| Error::Book { path: path.clone(), cause };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        // What another campaign wrote would count as this one's.
        drop(std::fs::remove_file(&path));

        let stage = Stage::set(self).await?;
        let began = Instant::now();
        let mut cast = Cast::new(program, self, messages, &stage, &path)?;
        cast.begin().await?;
        let acts = script(self.kind, steps);
        for (number, act) in (1..).zip(&acts) {
            let enough = messages * number / (acts.len() as u64 + 1);
            let what = format!("{enough} handled messages, before {act:?}");
            cast.until(&what, |accounts| accounts.handled_once() >= enough).await?;
            eprintln!("{:>4} s: {enough} handled, {act:?}", began.elapsed().as_secs());
            match act {
                Act::Kill => cast.kill_consumer().await?,
                Act::KillSender => cast.kill_sender().await?,
                Act::Join => cast.join().await?,
                Act::Leave => cast.leave().await?,
                Act::Fault(number) => stage.fail(*number, &cast).await?,
            }
        }
        let tally = cast.end().await?;
        let took = began.elapsed();
        let is_complete = tally.sent as u64 == messages && tally.unacknowledged == 0;
        let is_right = is_complete
            && if self.kind == Kind::Straight { tally.is_clean() } else { tally.is_right() };
        match is_right {
            true if is_ours => drop(std::fs::remove_dir_all(&folder)),
            true => {}
            false => eprintln!("the book is {}", path.display()),
        }
        Ok(Outcome { is_right, tally, took })
    }
}
