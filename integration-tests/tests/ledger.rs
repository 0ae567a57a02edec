//! Nothing that was acknowledged is lost, whoever is killed: judged by what processes wrote down.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use integration_tests::ledger::{self, Campaign, campaign, create_topic};
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

/// N fails, N+1 to N+5 succeed, the consumer is killed and started again: N comes again.
async fn a_failed_message_survives_a_kill(brokers: &str, topic: &str) {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name).to_string_lossy().into_owned();
    let (sent, first, second) = (path("sent"), path("first"), path("second"));
    let send = ["produce", "--brokers", brokers, "--topic", topic, "--messages", "6"];
    let status = start(&[&send[..], &["--window", "1", "--ledger", &sent]].concat()).wait().await;
    assert!(status.expect("a status").success());

    let group = ["--brokers", brokers, "--topic", topic, "--group", topic];
    let hold =
        [&["hold"], &group[..], &["--take", "6", "--fail", "0", "--ledger", &first]].concat();
    let mut holding = start(&hold);
    let output = holding.stdout.take().expect("an output");
    let mut lines = BufReader::new(output).lines();
    let line =
        tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("a line");
    assert_eq!(line.as_deref(), Some("failed 1, committed None"), "nothing may be acknowledged");
    holding.kill().await.expect("SIGKILL");
    let lines = |path: &str| ledger::consumed(Path::new(path)).unwrap_or_default();
    let handled = |path: &str| ledger::handled(&lines(path));
    let mut ids: Vec<_> = handled(&first).iter().map(|line| line.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5], "all but the first have succeeded");

    let mut again = start(&[&["consume"], &group[..], &["--ledger", &second]].concat());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while handled(&second).len() < 6 {
        assert!(tokio::time::Instant::now() < deadline, "the messages didn't come again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    again.kill().await.expect("SIGKILL");
    let all = [lines(&first), lines(&second)].concat();
    let tally = ledger::tally(&ledger::sent(Path::new(&sent)).expect("a book"), &all);
    assert!(tally.is_right(), "{tally}");
    assert!(handled(&second).iter().any(|line| line.id == 0), "the failed message came again");
}

async fn a_campaign_loses_nothing(
    brokers: &str,
    topic: &str,
    partitions: Option<i32>,
    messages: u64,
) {
    let folder = Folder::new();
    let campaign_of = Campaign {
        brokers: brokers.to_owned(),
        messages,
        concurrency: 16,
        think: 2,
        kills: 3,
        folder: folder.0.clone(),
        topic: topic.to_owned(),
        partitions,
        patience: PATIENCE.as_secs(),
    };
    let tally = campaign(Path::new(LEDGER), &campaign_of).await.expect("a tally");
    println!("{tally}");
    assert!(tally.is_right(), "{tally}");
    assert_eq!(tally.sent as u64, messages);
    assert!(tally.processes >= 4, "who was killed had handled nothing: {tally}");
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
async fn a_campaign_on_the_embedded_kafka_loses_nothing() {
    let kafka = Kafka::start().expect("an embedded Kafka");
    kafka.create_topic("campaign", 4).expect("a topic");
    a_campaign_loses_nothing(kafka.brokers(), "campaign", None, 4_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_on_kafka_loses_nothing() {
    let Some(brokers) = native("KAFKA_BROKERS") else { return };
    let topic = topic("campaign");
    a_campaign_loses_nothing(&brokers, &topic, Some(4), 10_000).await;
}
