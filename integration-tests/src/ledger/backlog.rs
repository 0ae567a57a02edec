use std::path::Path;
use std::time::Duration;

use super::Error;
use super::accounts::Accounts;
use super::book::Reader;

/// How often to look whether consumers have come nearer.
const LOOK: Duration = Duration::from_millis(5);

/// What was sent before, and what waits to be handled, by the book.
#[derive(Debug)]
pub(super) struct Backlog {
    reader: Reader,
    accounts: Accounts,
}

impl Backlog {
    pub(super) fn read(book: &Path) -> Result<Self, Error> {
        let mut backlog = Backlog { reader: Reader::new(book), accounts: Accounts::default() };
        backlog.go_on()?;
        Ok(backlog)
    }

    fn go_on(&mut self) -> Result<(), Error> {
        let accounts = &mut self.accounts;
        self.reader.read(|line| accounts.take(line))
    }

    pub(super) fn is_sent(&self, id: u64) -> bool {
        self.accounts.is_sent(id)
    }

    /// Waits until fewer than this wait to be handled: of Kafka, in the partition that has most.
    pub(super) async fn wait_below(&mut self, most: u64) -> Result<(), Error> {
        loop {
            self.go_on()?;
            if self.accounts.backlog() < most {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
