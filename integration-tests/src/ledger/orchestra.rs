use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::Error;
use super::book::{self, Tally};

/// A whole run: a producer, two consumers, and their deaths.
#[derive(clap::Args, Clone, Debug)]
pub struct Campaign {
    /// `bootstrap.servers`
    #[arg(long, env = "KAFKA_BROKERS")]
    pub brokers: String,
    /// How many messages to send
    #[arg(long, default_value_t = 100_000)]
    pub messages: u64,
    /// How many messages a consumer handles at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// How long a handler waits for something, in milliseconds
    #[arg(long, default_value_t = 1)]
    pub think: u64,
    /// How often one of the two consumers is killed and started again
    #[arg(long, default_value_t = 3)]
    pub kills: u32,
    /// Where the books are kept
    #[arg(long)]
    pub folder: PathBuf,
    /// The topic
    #[arg(long, default_value = "ledger")]
    pub topic: String,
    /// Creates the topic first, with so many partitions; the embedded Kafka can't be asked to
    #[arg(long)]
    pub partitions: Option<i32>,
    /// How long the consumers may take for all of it, in seconds
    #[arg(long, default_value_t = 300)]
    pub patience: u64,
}

/// A process of ours: this very program, with other arguments.
fn start(program: &Path, arguments: &[&str]) -> Result<Child, Error> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(Error::Process)
}

/// Runs a campaign with the processes of `program`, and tells what the books say.
///
/// # Errors
///
/// When a process can't be run, or not everything was handled in time.
pub async fn campaign(program: &Path, campaign: &Campaign) -> Result<Tally, Error> {
    let Campaign {
        brokers,
        messages,
        concurrency,
        think,
        kills,
        folder,
        topic,
        partitions,
        patience,
    } = campaign;
    if let Some(partitions) = partitions {
        create_topic(brokers, topic, *partitions).await?;
    }
    let (sent, handled) = (folder.join("sent"), folder.join("handled"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (sent_path, handled_path) = (path(&sent), path(&handled));
    let (messages, concurrency) = (messages.to_string(), concurrency.to_string());
    let think = think.to_string();
    let consumer = || {
        let arguments = [
            "consume",
            "--brokers",
            brokers,
            "--topic",
            topic,
            "--group",
            topic,
            "--concurrency",
            &concurrency,
            "--think",
            &think,
            "--ledger",
            &handled_path,
        ];
        start(program, &arguments)
    };
    let mut consumers = [consumer()?, consumer()?];
    let mut producer = start(
        program,
        &[
            "produce",
            "--brokers",
            brokers,
            "--topic",
            topic,
            "--messages",
            &messages,
            "--ledger",
            &sent_path,
        ],
    )?;

    // It dies in the middle: when a third of the messages, two thirds, … were handled.
    let total: u64 = messages.parse().unwrap_or(u64::MAX);
    let deadline = Instant::now() + Duration::from_secs(*patience);
    let mut counted = 0;
    for kill in 1..=*kills {
        let enough = total * u64::from(kill) / u64::from(kills + 1);
        until(deadline, &format!("{enough} handled messages"), || Ok(lines(&handled)? >= enough))
            .await?;
        // The one that has handled most since the last death, so that there is something to lose.
        let recent = book::handled(&book::consumed(&handled)?).into_iter().skip(counted);
        let mut shares = [0_u64; 2];
        for line in recent {
            counted += 1;
            let share = consumers.iter().position(|child| child.id() == Some(line.process));
            share.into_iter().for_each(|place| shares[place] += 1);
        }
        let victim = usize::from(shares[1] > shares[0]);
        consumers[victim].kill().await.map_err(Error::Process)?;
        consumers[victim] = consumer()?;
    }
    let status = producer.wait().await.map_err(Error::Process)?;
    if !status.success() {
        return Err(Error::Ended(format!("the producer ({status})")));
    }
    until(deadline, "every message to be handled", || {
        let tally = book::tally(&book::sent(&sent)?, &book::consumed(&handled)?);
        Ok(tally.lost == 0)
    })
    .await?;
    for consumer in &mut consumers {
        if let Some(pid) = consumer.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that is gone already is found out below.
            let _gone = kill_process(pid, Signal::TERM);
        }
        let status = consumer.wait().await.map_err(Error::Process)?;
        if !status.success() {
            return Err(Error::Ended(format!("a consumer ({status})")));
        }
    }
    Ok(book::tally(&book::sent(&sent)?, &book::consumed(&handled)?))
}

/// Creates a topic; one that is there already is left as it is.
///
/// # Errors
///
/// When the broker refuses.
pub async fn create_topic(brokers: &str, topic: &str, partitions: i32) -> Result<(), Error> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for created in admin.create_topics([&new], &AdminOptions::new()).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(Error::Kafka(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// How many messages were handled; none before the book is there.
fn lines(path: &Path) -> Result<u64, Error> {
    let is_handled = |line: &&[u8]| line.starts_with(b"handled ");
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes.split(|byte| *byte == b'\n').filter(is_handled).count() as u64),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(Error::Book { path: path.into(), cause }),
    }
}

async fn until(
    deadline: Instant,
    what: &str,
    mut happened: impl FnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    while !happened()? {
        if Instant::now() >= deadline {
            return Err(Error::Late(format!("time is up, and there are still not {what}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
