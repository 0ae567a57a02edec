use std::fmt;

/// Why a message was handled again, where that is what at-least-once allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its handler failed, after it had done its work.
    Failed,
    /// Its consumer was killed before the message was acknowledged.
    Killed,
    /// Its partition was taken away while it was being handled, or before it was committed.
    Revoked,
    /// The broker, told to do something wrong, gave its partition to another while the one who had it
    /// didn't know.
    Lapsed,
    /// SQS could not be told to delete it, or to keep it.
    Unheld,
    /// Its sender didn't learn that it was sent, and sent it again.
    SentAgain,
}

/// How often messages were handled again, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// [`Cause::Failed`]
    pub failed: usize,
    /// [`Cause::Killed`]
    pub killed: usize,
    /// [`Cause::Revoked`]
    pub revoked: usize,
    /// [`Cause::Lapsed`]
    pub lapsed: usize,
    /// [`Cause::Unheld`]
    pub unheld: usize,
    /// [`Cause::SentAgain`]
    pub sent_again: usize,
    /// For no reason that the book knows: more than at-least-once allows.
    pub unexplained: usize,
}

impl Again {
    pub(super) fn count(&mut self, cause: Option<Cause>) {
        *match cause {
            Some(Cause::Failed) => &mut self.failed,
            Some(Cause::Killed) => &mut self.killed,
            Some(Cause::Revoked) => &mut self.revoked,
            Some(Cause::Lapsed) => &mut self.lapsed,
            Some(Cause::Unheld) => &mut self.unheld,
            Some(Cause::SentAgain) => &mut self.sent_again,
            None => &mut self.unexplained,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        let Again { failed, killed, revoked, lapsed, unheld, sent_again, unexplained } = self;
        failed + killed + revoked + lapsed + unheld + sent_again + unexplained
    }
}

/// What the book says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that the broker has.
    pub sent: usize,
    /// How often a handler saw one.
    pub handled: usize,
    /// Processes that handled messages.
    pub processes: usize,
    /// Processes that were killed.
    pub killed: usize,
    /// Partitions that have left a process.
    pub revoked: usize,
    /// Handlers that failed.
    pub failed: usize,
    /// Sends that were refused, and requests to send that had no answer.
    pub unsent: usize,
    /// Commits that were refused.
    pub uncommitted: usize,
    /// What the broker was told to do wrong.
    pub faults: usize,
    /// Commits of a partition, or deletions of a message.
    pub acknowledged: usize,
    /// Messages that no handler has seen.
    pub lost: usize,
    /// Messages that were handled more than once, and why.
    pub again: Again,
    /// Acknowledgements of messages that nobody had handled yet.
    pub early: usize,
    /// Messages that came again though they were acknowledged.
    pub late: usize,
    /// Messages whose handling began before those were handled that come before them.
    pub overtaken: usize,
    /// Handlers that ended after their partition had left, beyond those that can have been running.
    pub strayed: usize,
    /// Handlings in another trace than the message was sent in, or under another parent.
    pub broken: usize,
    /// Handlings of messages that nobody sent.
    pub unknown: usize,
    /// Messages that were handled, and are not acknowledged yet.
    pub unacknowledged: usize,
}

impl Tally {
    /// Whether nothing was lost, wrongly doubled, overtaken, or torn from its trace.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let Tally { lost, again, early, late, overtaken, strayed, broken, unknown, .. } = *self;
        [lost, again.unexplained, early, late, overtaken, strayed, broken, unknown] == [0; 8]
    }

    /// Whether in addition nothing was doubled.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_right() && self.again.total() == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, handled, processes, killed, revoked, failed, unsent, .. } = self;
        let Tally { uncommitted, faults, acknowledged, lost, early, late, overtaken, .. } = self;
        let Tally { strayed, broken, unknown, unacknowledged, again, .. } = self;
        writeln!(
            f,
            "{sent} sent, handled {handled} times by {processes} processes; {acknowledged} \
             acknowledgements, {unacknowledged} missing"
        )?;
        writeln!(
            f,
            "  on the way: {killed} kills, {revoked} revoked partitions, {failed} failed handlers, \
             {unsent} failed sends, {uncommitted} refused commits, {faults} faults"
        )?;
        writeln!(
            f,
            "  {lost} lost, {broken} broken lineages, {unknown} unknown, {overtaken} overtaken, \
             {strayed} strayed, {early} acknowledged unhandled, {late} handled though acknowledged"
        )?;
        write!(f, "  {} handled again: {} unexplained", again.total(), again.unexplained)?;
        let causes = [
            (again.failed, "because a handler failed"),
            (again.killed, "because a consumer was killed"),
            (again.revoked, "because a partition was revoked"),
            (again.lapsed, "because a membership lapsed by a fault"),
            (again.unheld, "because SQS could not be told"),
            (again.sent_again, "because it was sent again"),
        ];
        for (count, cause) in causes.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {cause}")?;
        }
        Ok(())
    }
}
