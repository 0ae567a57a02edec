//! Nothing that was acknowledged is lost, whoever is killed: judged by what processes wrote down.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use integration_tests::ledger::{
    Accounts, Campaign, Handled, Kind, Line, Order, Protocol, Reader, create_topic,
};
use integration_tests::native;
use throughline_testing::embedded::Kafka;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const LEDGER: &str = env!("CARGO_BIN_EXE_ledger");
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of this test's own, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ledger-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn topic(test: &str) -> String {
    format!("{test}-{}", std::process::id())
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(LEDGER);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("a process")
}

fn lines(path: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    Reader::new(Path::new(path)).read(|line| lines.push(line)).expect("a book");
    lines
}

/// What this process has handled.
fn handled(path: &str, process: Option<u32>) -> Vec<u64> {
    let mut ids: Vec<_> = lines(path)
        .into_iter()
        .filter_map(|line| match line {
            Line::Handled(Handled { process: its, id, .. }) if Some(its) == process => Some(id),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids
}

/// N fails, N+1 to N+5 succeed, the consumer is killed and started again: N comes again.
async fn a_failed_message_survives_a_kill(brokers: &str, topic: &str) {
    let folder = Folder::new();
    let book = folder.0.join("book").to_string_lossy().into_owned();
    let place = ["--brokers", brokers, "--topic", topic, "--book", &book];
    let send = [&["produce"], &place[..], &["--messages", "6", "--window", "1"]].concat();
    assert!(start(&send).wait().await.expect("a status").success());

    let group = [&place[..], &["--group", topic, "--flawless"]].concat();
    let hold = [&["hold"], &group[..], &["--take", "6", "--fail", "0"]].concat();
    let mut holding = start(&hold);
    let first = holding.id();
    let output = holding.stdout.take().expect("an output");
    let mut told = BufReader::new(output).lines();
    let line =
        tokio::time::timeout(PATIENCE, told.next_line()).await.expect("in time").expect("a line");
    assert_eq!(line.as_deref(), Some("failed 1, committed None"), "nothing may be acknowledged");
    holding.kill().await.expect("SIGKILL");
    assert_eq!(handled(&book, first), [1, 2, 3, 4, 5], "all but the first have succeeded");
    let mut accounts = Accounts::new(Order::Any, 6);
    lines(&book).into_iter().for_each(|line| accounts.take(line));
    accounts.take(Line::Killed { process: first.expect("a process") });

    let mut again = start(&[&["consume"], &group[..]].concat());
    let second = again.id();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while handled(&book, second).len() < 6 {
        assert!(tokio::time::Instant::now() < deadline, "the messages didn't come again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    again.kill().await.expect("SIGKILL");
    assert_eq!(handled(&book, second), [0, 1, 2, 3, 4, 5], "the failed message came again");
    let its = lines(&book).into_iter().skip_while(
        |line| !matches!(line, Line::Assigned { process, .. } if Some(*process) == second),
    );
    its.for_each(|line| accounts.take(line));
    let tally = accounts.tally();
    assert!(tally.is_right() && tally.again.killed == 5, "{tally}");
}

async fn a_campaign(campaign: Campaign) {
    let folder = Folder::new();
    let campaign =
        Campaign { folder: Some(folder.0.clone()), patience: PATIENCE.as_secs(), ..campaign };
    let outcome = campaign.run(Path::new(LEDGER)).await.expect("an outcome");
    println!("{outcome}");
    assert!(outcome.is_right, "{outcome}");
}

fn small(kind: Kind, messages: u64, steps: usize) -> Campaign {
    Campaign { messages: Some(messages), steps: Some(steps), ..Campaign::new(kind) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_survives_a_kill_on_the_embedded_kafka() {
    let kafka = Kafka::start().expect("an embedded Kafka");
    kafka.create_topic("held", 1).expect("a topic");
    a_failed_message_survives_a_kill(kafka.brokers(), "held").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_survives_a_kill_on_kafka() {
    let Some(brokers) = native("KAFKA_BROKERS") else { return };
    let topic = topic("held");
    create_topic(&brokers, &topic, 1).await.expect("a topic");
    a_failed_message_survives_a_kill(&brokers, &topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_nothing_is_doubled_while_nothing_goes_wrong() {
    let Some(_) = native("KAFKA_BROKERS") else { return };
    a_campaign(small(Kind::Straight, 10_000, 0)).await;
}

// They wait for those who were killed to be missed, most of the time: side by side.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_loses_nothing_while_consumers_come_and_go_and_die() {
    let Some(_) = native("KAFKA_BROKERS") else { return };
    let by = |protocol| a_campaign(Campaign { protocol, ..small(Kind::Unrest, 5_000, 3) });
    tokio::join!(by(Protocol::Eager), by(Protocol::Cooperative), by(Protocol::Consumer));
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_loses_nothing_and_keeps_its_order_while_consumers_die() {
    let Some(_) = native("SQS_ENDPOINT") else { return };
    let fifo = a_campaign(small(Kind::Fifo, 1_000, 3));
    tokio::join!(a_campaign(small(Kind::Sqs, 1_000, 3)), fifo);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_brokers_lose_nothing_whatever_they_do_wrong() {
    let kafka = a_campaign(small(Kind::EmbeddedKafka, 3_000, 8));
    let fifo = a_campaign(small(Kind::EmbeddedFifo, 1_000, 36));
    tokio::join!(kafka, a_campaign(small(Kind::EmbeddedSqs, 2_000, 36)), fifo);
}
