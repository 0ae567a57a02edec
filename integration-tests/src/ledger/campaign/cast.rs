use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::stage::{PARTITIONS, Stage};
use super::{Campaign, Kind};
use crate::ledger::accounts::{Accounts, Order};
use crate::ledger::book::{Book, Line, Reader};
use crate::ledger::{Error, Tally, kafka, sqs};

/// How often to look into the book.
const LOOK: Duration = Duration::from_millis(50);

/// How many batches a sender of SQS has under way.
const LANES: u64 = 4;

/// The processes of a campaign, and what they wrote so far.
pub(super) struct Cast<'a> {
    program: &'a Path,
    campaign: &'a Campaign,
    messages: u64,
    stage: &'a Stage,
    path: PathBuf,
    book: Book,
    reader: Reader,
    accounts: Accounts,
    sender: Option<Child>,
    consumers: Vec<Child>,
    began: Instant,
}

impl<'a> Cast<'a> {
    pub(super) fn new(
        program: &'a Path,
        campaign: &'a Campaign,
        messages: u64,
        stage: &'a Stage,
        path: &Path,
    ) -> Result<Self, Error> {
        let order = match campaign.kind {
            Kind::Sqs | Kind::EmbeddedSqs => Order::Any,
            Kind::Fifo | Kind::EmbeddedFifo => Order::Group(LANES * sqs::BATCH),
            _ => Order::Key(kafka::KEYS),
        };
        Ok(Cast {
            program,
            campaign,
            messages,
            stage,
            path: path.to_owned(),
            book: Book::open(path)?,
            reader: Reader::new(path),
            accounts: Accounts::new(order, campaign.concurrency),
            sender: None,
            consumers: Vec::new(),
            began: Instant::now(),
        })
    }

    /// A process of ours: this very program, with other arguments.
    fn start(&self, words: Vec<String>) -> Result<Child, Error> {
        let mut command = Command::new(self.program);
        command.args(words).arg("--book").arg(&self.path);
        command.stdin(Stdio::null()).kill_on_drop(true).spawn().map_err(Error::Process)
    }

    fn start_sender(&self) -> Result<Child, Error> {
        let mut words = self.stage.sender(self.campaign.kind);
        words.extend(["--messages".to_owned(), self.messages.to_string()]);
        if !self.stage.is_kafka() {
            words.extend(["--lanes".to_owned(), LANES.to_string()]);
        }
        self.start(words)
    }

    fn start_consumer(&self) -> Result<Child, Error> {
        let mut words = self.stage.consumer(self.campaign.protocol);
        words.extend(["--concurrency".to_owned(), self.campaign.concurrency.to_string()]);
        match self.campaign.kind.is_flawless() {
            true => words.push("--flawless".to_owned()),
            false => words.extend(["--think".to_owned(), "1".to_owned()]),
        }
        self.start(words)
    }

    fn read(&mut self) -> Result<(), Error> {
        let accounts = &mut self.accounts;
        self.reader.read(|line| accounts.take(line))
    }

    /// Waits until the book says so.
    pub(super) async fn until(
        &mut self,
        what: &str,
        happened: impl Fn(&Accounts) -> bool,
    ) -> Result<(), Error> {
        loop {
            self.read()?;
            if happened(&self.accounts) {
                return Ok(());
            }
            self.check()?;
            self.late(what)?;
            tokio::time::sleep(LOOK).await;
        }
    }

    fn late(&self, what: &str) -> Result<(), Error> {
        let seconds = self.began.elapsed().as_secs();
        if seconds < self.campaign.patience {
            return Ok(());
        }
        let tally = self.accounts.tally().to_string();
        Err(Error::Late { seconds, what: what.to_owned(), tally })
    }

    /// Whether nobody has ended that shouldn't have.
    fn check(&mut self) -> Result<(), Error> {
        for consumer in &mut self.consumers {
            if let Some(status) = consumer.try_wait().map_err(Error::Process)? {
                return Err(Error::Ended(format!("a consumer ({status})")));
            }
        }
        if let Some(sender) = &mut self.sender
            && let Some(status) = sender.try_wait().map_err(Error::Process)?
            && !status.success()
        {
            return Err(Error::Ended(format!("the sender ({status})")));
        }
        Ok(())
    }

    /// The consumers come, and when they have shared what there is, the sender.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        for _ in 0..self.campaign.consumers {
            self.consumers.push(self.start_consumer()?);
        }
        self.until_shared().await?;
        self.sender = Some(self.start_sender()?);
        Ok(())
    }

    /// Each consumer of Kafka has some partitions, and together they have all.
    async fn until_shared(&mut self) -> Result<(), Error> {
        if !self.stage.is_kafka() {
            return Ok(());
        }
        let processes: Vec<_> = self.consumers.iter().filter_map(Child::id).collect();
        let is_shared = |accounts: &Accounts| {
            let shares = processes.iter().map(|process| accounts.partitions_of(*process));
            let shares: Vec<_> = shares.collect();
            shares.iter().all(|share| *share > 0) && shares.iter().sum::<usize>() == PARTITIONS
        };
        self.until("all partitions shared among the consumers", is_shared).await
    }

    /// The consumer that has handled most since the last time, so that there is something to lose;
    /// one that has only just begun doesn't know yet what a signal means.
    async fn busiest(&mut self) -> Result<Child, Error> {
        let processes: Vec<_> = self.consumers.iter().filter_map(Child::id).collect();
        let is_busy = |it: &Accounts| processes.iter().any(|process| it.share(*process) > 0);
        self.until("a consumer that handles something", is_busy).await?;
        let share = |of: &Child| of.id().map(|process| self.accounts.share(process));
        let shares = self.consumers.iter().map(share).enumerate();
        let busiest = shares.max_by_key(|(_, share)| *share).map(|(place, _)| place);
        self.accounts.count_anew();
        let gone = || Error::Ended("every consumer".to_owned());
        busiest.map(|place| self.consumers.swap_remove(place)).ok_or_else(gone)
    }

    async fn kill(&self, mut child: Child) -> Result<(), Error> {
        let Some(process) = child.id() else { return Ok(()) };
        child.kill().await.map_err(Error::Process)?;
        // Now nothing more can come of it.
        self.book.write(&Line::Killed { process })
    }

    pub(super) async fn kill_consumer(&mut self) -> Result<(), Error> {
        let victim = self.busiest().await?;
        self.kill(victim).await?;
        self.consumers.push(self.start_consumer()?);
        Ok(())
    }

    /// Kills the sender and starts it again, unless it is done.
    pub(super) async fn kill_sender(&mut self) -> Result<(), Error> {
        let Some(mut sender) = self.sender.take() else { return Ok(()) };
        if sender.try_wait().map_err(Error::Process)?.is_none() {
            self.kill(sender).await?;
        }
        self.sender = Some(self.start_sender()?);
        Ok(())
    }

    pub(super) async fn join(&mut self) -> Result<(), Error> {
        self.consumers.push(self.start_consumer()?);
        self.until_shared().await
    }

    pub(super) async fn leave(&mut self) -> Result<(), Error> {
        let leaver = self.busiest().await?;
        self.dismiss(leaver).await
    }

    async fn dismiss(&self, mut child: Child) -> Result<(), Error> {
        if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that is gone already is found out below.
            let _gone = kill_process(pid, Signal::TERM);
        }
        let status = child.wait().await.map_err(Error::Process)?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Ended(format!("a consumer that was told to end ({status})"))),
        }
    }

    pub(super) fn fault(&self, what: String) -> Result<(), Error> {
        self.book.write(&Line::Fault { what })
    }

    /// Waits until everything is sent, handled and acknowledged, and lets everybody go.
    pub(super) async fn end(mut self) -> Result<Tally, Error> {
        let messages = self.messages;
        self.until("every message sent", |accounts| accounts.sent() == messages).await?;
        if let Some(mut sender) = self.sender.take() {
            let status = sender.wait().await.map_err(Error::Process)?;
            if !status.success() {
                return Err(Error::Ended(format!("the sender ({status})")));
            }
        }
        let is_done = |it: &Accounts| it.handled_once() == it.sent() && it.unacknowledged() == 0;
        loop {
            self.until("every message handled and acknowledged", is_done).await?;
            if self.stage.is_empty().await? {
                break;
            }
            // What was sent twice, say, and is still to come.
            self.late("an empty queue")?;
            tokio::time::sleep(LOOK).await;
        }
        for consumer in std::mem::take(&mut self.consumers) {
            self.dismiss(consumer).await?;
        }
        self.read()?;
        Ok(self.accounts.tally())
    }
}
