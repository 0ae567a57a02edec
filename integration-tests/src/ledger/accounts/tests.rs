use super::*;
use crate::ledger::tally::Again;

/// Messages 0 to 2 were sent, to offsets 0 to 2 of partition 0, or as messages 0 to 2 of SQS.
fn sent(is_kafka: bool) -> Accounts {
    let mut accounts = Accounts::new(Order::Key(1), 2);
    for id in 0..3 {
        let (trace, span) = (trace(id), SpanId::from(id + 1));
        accounts.take(Line::Trying { process: 1, id, trace });
        accounts.take(Line::Sent { id, trace, span, place: place(is_kafka, id) });
    }
    accounts
}

fn trace(id: u64) -> TraceId {
    TraceId::from(u128::from(id) + 1)
}

fn place(is_kafka: bool, id: u64) -> Place {
    match is_kafka {
        true => Place::Record { partition: 0, offset: id.cast_signed() },
        false => Place::Message(id.to_string().into()),
    }
}

fn handled(is_kafka: bool, id: u64, process: u32, epoch: u64) -> Line {
    let (trace, parent, place) = (trace(id), SpanId::from(id + 1), place(is_kafka, id));
    Line::Handled(Handled { process, id, place, trace, parent, epoch })
}

fn record(id: u64, process: u32, epoch: u64) -> Line {
    handled(true, id, process, epoch)
}

fn message(id: u64, process: u32) -> Line {
    handled(false, id, process, 0)
}

fn assigned(process: u32, epoch: u64) -> Line {
    Line::Assigned { process, partition: 0, epoch }
}

fn revoked(process: u32, epoch: u64) -> Line {
    Line::Revoked { process, partition: 0, epoch }
}

fn committed(offset: i64) -> Line {
    Line::Committed { partition: 0, offset }
}

fn tally(is_kafka: bool, lines: impl IntoIterator<Item = Line>) -> Tally {
    let mut accounts = sent(is_kafka);
    lines.into_iter().for_each(|line| accounts.take(line));
    accounts.tally()
}

#[test]
fn a_clean_run_is_clean() {
    let lines = [assigned(2, 1), record(0, 2, 1), record(1, 2, 1), record(2, 2, 1), committed(3)];
    let tally = tally(true, lines);
    assert!(tally.is_clean(), "{tally}");
    let of = (tally.sent, tally.handled, tally.acknowledged, tally.unacknowledged);
    assert_eq!(of, (3, 3, 1, 0));
}

#[test]
fn what_at_least_once_allows_is_right_and_has_its_cause() {
    let others = || [record(1, 3, 1), record(2, 3, 1)];
    let again = |cause: &[Line]| {
        let lines = [assigned(2, 1), record(0, 2, 1)].into_iter().chain(cause.to_vec());
        let tally = tally(true, lines.chain(others()));
        assert!(tally.is_right() && !tally.is_clean(), "{tally}");
        tally.again
    };
    let killed = [Line::Killed { process: 2 }, assigned(3, 1), record(0, 3, 1)];
    assert_eq!(again(&killed), Again { killed: 1, ..Again::default() });
    let revoked_before = [revoked(2, 1), assigned(3, 1), record(0, 3, 1)];
    assert_eq!(again(&revoked_before), Again { revoked: 1, ..Again::default() });
    // It ran when its partition left, and ended when the next one had it already.
    let mid_handling = [revoked(2, 1), assigned(3, 1), record(0, 3, 1), record(0, 2, 1)];
    assert_eq!(again(&mid_handling), Again { revoked: 2, ..Again::default() });
    let failed = [
        Line::Failed { process: 2, place: place(true, 0) },
        record(0, 2, 1),
        revoked(2, 1),
        assigned(3, 1),
    ];
    assert_eq!(again(&failed), Again { failed: 1, ..Again::default() });
    let lapsed = [Line::Fault { what: "down".into() }, assigned(3, 1), record(0, 3, 1)];
    assert_eq!(again(&lapsed), Again { lapsed: 1, ..Again::default() });
}

#[test]
fn a_double_without_a_cause_is_wrong() {
    let begin = || [assigned(2, 1), record(0, 2, 1)].into_iter();
    let doubles = [
        vec![record(0, 2, 1)],
        vec![Line::Failed { process: 3, place: place(true, 0) }, record(0, 2, 1)],
        vec![assigned(3, 1), record(0, 3, 1)],
        vec![Line::Killed { process: 3 }, assigned(4, 1), record(0, 4, 1)],
    ];
    for double in doubles {
        let tally = tally(true, begin().chain(double.clone()));
        assert_eq!(tally.again.unexplained, 1, "{double:?}");
        assert!(!tally.is_right());
    }
    let begin = || [message(0, 2), message(1, 2), message(2, 2)].into_iter();
    let again = |cause: Option<Line>| tally(false, begin().chain(cause).chain([message(0, 3)]));
    assert_eq!(again(None).again.unexplained, 1);
    assert_eq!(again(Some(Line::Killed { process: 3 })).again.unexplained, 1);
    assert_eq!(again(Some(Line::Killed { process: 2 })).again.killed, 1);
    let unheld = |process| Line::Unheld { process, place: place(false, 0) };
    assert_eq!(again(Some(unheld(2))).again.unheld, 1);
    assert_eq!(again(Some(unheld(3))).again.unexplained, 1);
}

#[test]
fn what_was_sent_twice_has_to_have_been_unanswered() {
    let twice = Place::Record { partition: 1, offset: 0 };
    let all = [assigned(2, 1), record(0, 2, 1), record(1, 2, 1), record(2, 2, 1)];
    let (trace, parent) = (trace(0), SpanId::from(1));
    let again = Line::Handled(Handled { process: 2, id: 0, place: twice, trace, parent, epoch: 1 });
    let silent = tally(true, all.clone().into_iter().chain([again.clone()]));
    assert_eq!((silent.again.unexplained, silent.is_right()), (1, false));
    let told = all.into_iter().chain([Line::Unanswered { id: 0 }, again]);
    let told = tally(true, told);
    assert_eq!((told.again.sent_again, told.is_right()), (1, true), "{told}");
}

#[test]
fn what_is_lost_torn_or_unknown_is_found() {
    let begin = || [assigned(2, 1), record(0, 2, 1)].into_iter();
    let lost = tally(true, begin());
    assert_eq!((lost.lost, lost.is_right()), (2, false));
    for torn in [(TraceId::from(99), SpanId::from(2)), (trace(1), SpanId::from(99))] {
        let (trace, parent) = torn;
        let place = place(true, 1);
        let torn = Handled { process: 2, id: 1, place, trace, parent, epoch: 1 };
        let torn = tally(true, begin().chain([Line::Handled(torn), record(2, 2, 1)]));
        assert_eq!((torn.broken, torn.is_right()), (1, false));
    }
    let unknown = tally(true, [record(0, 2, 1), record(1, 2, 1), record(2, 2, 1), record(3, 2, 1)]);
    assert_eq!((unknown.unknown, unknown.is_right()), (1, false));
}

#[test]
fn a_lineage_is_judged_when_its_sender_is_known() {
    let mut accounts = Accounts::new(Order::Any, 2);
    accounts.take(Line::Trying { process: 1, id: 0, trace: trace(0) });
    accounts.take(message(0, 2));
    assert_eq!(accounts.tally().broken, 0, "not yet");
    let place = place(false, 0);
    accounts.take(Line::Sent { id: 0, trace: trace(0), span: SpanId::from(9), place });
    assert_eq!((accounts.tally().broken, accounts.tally().lost), (1, 0));
}

#[test]
fn acknowledgements_too_early_and_messages_too_late_are_found() {
    let early = tally(true, [assigned(2, 1), record(0, 2, 1), committed(2), record(1, 2, 1)]);
    assert_eq!(early.early, 1);
    let early = tally(false, [Line::Deleted { process: 2, place: place(false, 0) }]);
    assert_eq!(early.early, 1);
    let late = [assigned(2, 1), record(0, 2, 1), committed(1), revoked(2, 1), assigned(3, 1)];
    let late = tally(true, late.into_iter().chain([record(0, 3, 1)]));
    assert_eq!((late.late, late.is_right()), (1, false));
    let deleted = Line::Deleted { process: 2, place: place(false, 0) };
    let taken = Line::Taken { process: 3, place: place(false, 0) };
    let late = tally(false, [message(0, 2), deleted, taken]);
    assert_eq!((late.late, late.is_right()), (1, false));
}

#[test]
fn order_and_strays_are_kept_an_eye_on() {
    let overtaken = [assigned(2, 1), record(1, 2, 1), record(0, 2, 1), record(2, 2, 1)];
    assert_eq!(tally(true, overtaken).overtaken, 1);
    let (left, two) = (revoked(2, 1), [record(0, 2, 1), record(1, 2, 1)]);
    let two_ran = [assigned(2, 1), left].into_iter().chain(two);
    assert_eq!(tally(true, two_ran.clone()).strayed, 0, "two are handled at once");
    assert_eq!(tally(true, two_ran.chain([record(2, 2, 1)])).strayed, 1);
}
