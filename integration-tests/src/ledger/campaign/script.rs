use super::Kind;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The consumer that has handled most is killed, and another one started.
    Kill,
    /// The sender is killed and started again.
    KillSender,
    /// One more consumer comes.
    Join,
    /// The consumer that has handled most is told to end.
    Leave,
    /// The broker does something wrong: the number says what.
    Fault(usize),
}

/// What happens one after the other, in so many steps.
pub(super) fn script(kind: Kind, steps: usize) -> Vec<Act> {
    let mut faults = 0..;
    let mut fault = || Act::Fault(faults.next().unwrap_or_default());
    let act = |step: usize| match kind {
        // While there is still something to send.
        _ if step == 0 => Act::KillSender,
        Kind::Straight | Kind::Sqs | Kind::Fifo => Act::Kill,
        Kind::Unrest => [Act::Join, Act::Kill, Act::Leave, Act::Kill][step % 4],
        Kind::EmbeddedKafka if step % 10 == 5 => Act::Kill,
        Kind::EmbeddedSqs | Kind::EmbeddedFifo if step % 20 == 10 => Act::Kill,
        Kind::EmbeddedKafka | Kind::EmbeddedSqs | Kind::EmbeddedFifo => fault(),
    };
    (0..steps).map(act).collect()
}
