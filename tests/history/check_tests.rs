//! The checker itself: good histories pass, and each kind of bad one is told by its name.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::check::{Ended, Event, History, Operation, Outcome, Seen, Violation, check};

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn seen(id: &str, user: &str, phone: &str, epoch: u64) -> Seen {
    Seen { id: id.into(), user: user.into(), phone: phone.into(), epoch, expires_at: None }
}

fn ended(session: &Seen, epoch: u64) -> Ended {
    Ended { session: session.clone(), epoch, at: instant(0), by_clock: false }
}

fn operation(time: (u64, u64), session: &Seen, outcome: Outcome) -> Operation {
    let is_login = !matches!(outcome, Outcome::LoggedOut(_));
    let (called, returned) = (Duration::from_millis(time.0), Duration::from_millis(time.1));
    let (user, phone) = (session.user.clone(), session.phone.clone());
    Operation { called, returned, user, phone, is_login, outcome }
}

fn login(time: (u64, u64), session: &Seen) -> Operation {
    operation(time, session, Outcome::LoggedIn(session.clone(), Vec::new()))
}

/// Ada is on phone 1, leaves it, and Bob comes; both were answered.
fn good() -> History {
    let (ada, bob) = (seen("s1", "ada", "p1", 2), seen("s2", "bob", "p1", 5));
    let left = ended(&ada, 4);
    History {
        operations: vec![
            login((0, 10), &ada),
            operation((20, 30), &ada, Outcome::LoggedOut(left.clone())),
            login((25, 40), &bob),
            operation((0, 1), &bob, Outcome::Refused),
        ],
        log: vec![Event::LoggedIn(ada), Event::LoggedOut(left), Event::LoggedIn(bob.clone())],
        live: vec![bob],
        now: instant(100),
        several_phones: false,
    }
}

fn found(history: &History) -> Vec<Violation> {
    check(history).violations.into_iter().collect()
}

/// The session of a login in the log.
fn begun(history: &mut History, place: usize) -> &mut Seen {
    match &mut history.log[place] {
        Event::LoggedIn(session) => session,
        Event::LoggedOut(ended) => &mut ended.session,
    }
}

#[test]
fn a_history_that_can_have_been_passes() {
    let report = check(&good());
    assert_eq!(report.violations.len(), 0, "{:?}", report.violations);
    assert_eq!((report.logins, report.logouts, report.refused, report.unknown), (2, 1, 1, 0));
}

#[test]
fn what_was_not_answered_may_have_happened_once_or_not() {
    let mut history = good();
    history.operations[2].outcome = Outcome::Unknown;
    assert_eq!(found(&history), [], "it happened");
    history.log.pop();
    history.live.clear();
    assert_eq!(found(&history), [], "it did not");
    let twice = ["s2", "s3"].map(|id| seen(id, "bob", "p1", if id == "s2" { 5 } else { 7 }));
    history.log.push(Event::LoggedIn(twice[0].clone()));
    history.log.push(Event::LoggedOut(ended(&twice[0], 6)));
    history.log.push(Event::LoggedIn(twice[1].clone()));
    history.live.push(twice[1].clone());
    assert_eq!(found(&history), [Violation::Invented { user: "bob".into(), phone: "p1".into() }]);
}

#[test]
fn a_login_that_was_acknowledged_and_is_gone_is_lost() {
    let mut history = good();
    history.log.pop();
    history.live.clear();
    let lost = Violation::LoginLost { session: "s2".into(), phone: "p1".into() };
    assert_eq!(found(&history), [lost]);
}

#[test]
fn a_logout_that_was_acknowledged_and_is_gone_is_lost_and_leaves_two_on_a_phone() {
    let mut history = good();
    history.log.remove(1);
    let found = found(&history);
    assert!(found.contains(&Violation::LogoutLost { session: "s1".into(), phone: "p1".into() }), "{found:?}");
    assert!(found.contains(&Violation::PhoneTwice { phone: "p1".into(), epoch: 5 }), "{found:?}");
    assert!(found.contains(&Violation::LiveDiffers { session: "s1".into() }), "{found:?}");
}

#[test]
fn a_user_on_two_phones_is_found_where_that_is_not_allowed() {
    let mut history = good();
    let again = seen("s3", "bob", "p2", 9);
    history.operations.push(login((50, 60), &again));
    history.log.push(Event::LoggedIn(again.clone()));
    history.live.push(again);
    assert_eq!(found(&history), [Violation::UserTwice { user: "bob".into(), session: "s3".into() }]);
    history.several_phones = true;
    assert_eq!(found(&history), []);
}

#[test]
fn a_login_made_from_a_state_that_has_moved_is_found_by_its_epoch() {
    let mut history = good();
    let stale = seen("s2", "bob", "p1", 3);
    *begun(&mut history, 2) = stale.clone();
    history.live = vec![stale.clone()];
    history.operations[2] = login((25, 40), &stale);
    assert_eq!(found(&history), [Violation::EpochStale { phone: "p1".into(), epoch: 3 }]);
}

#[test]
fn two_answers_with_one_epoch_are_two_changes_of_one_state() {
    let mut history = good();
    let other = seen("s9", "eve", "p1", 5);
    history.operations.push(login((26, 41), &other));
    let found = found(&history);
    assert!(found.contains(&Violation::EpochStale { phone: "p1".into(), epoch: 5 }), "{found:?}");
    assert!(found.contains(&Violation::LoginLost { session: "s9".into(), phone: "p1".into() }), "{found:?}");
}

#[test]
fn an_operation_that_returned_before_another_was_called_must_come_before_it() {
    let mut history = good();
    // The logout is called only after the login that follows it in the order of epochs has returned.
    history.operations[1].called = Duration::from_millis(50);
    history.operations[1].returned = Duration::from_millis(60);
    assert_eq!(found(&history), [Violation::OutOfTime { phone: "p1".into(), epoch: 4 }]);
}

#[test]
fn an_answer_that_is_not_what_the_log_says_is_found() {
    let mut history = good();
    begun(&mut history, 0).user = "eve".into();
    assert!(found(&history).contains(&Violation::Differs { session: "s1".into() }));
}

#[test]
fn a_session_that_ends_twice_is_found() {
    let mut history = good();
    let again = Event::LoggedOut(ended(&seen("s1", "ada", "p1", 2), 6));
    history.log.insert(2, again);
    assert!(found(&history).contains(&Violation::EndedTwice { session: "s1".into() }));
}

#[test]
fn lo_5_the_clock_ends_a_session_after_its_instant_and_leaves_none_overdue() {
    let timed = Seen { expires_at: Some(instant(50)), ..seen("s1", "ada", "p1", 2) };
    let by_clock = |second| Ended { at: instant(second), by_clock: true, ..ended(&timed, 4) };
    let history = |end: Option<Ended>| History {
        operations: vec![login((0, 10), &timed)],
        live: if end.is_some() { Vec::new() } else { vec![timed.clone()] },
        log: [Event::LoggedIn(timed.clone())].into_iter().chain(end.map(Event::LoggedOut)).collect(),
        now: instant(100),
        several_phones: false,
    };
    let report = check(&history(Some(by_clock(51))));
    assert_eq!(report.violations.len(), 0, "{:?}", report.violations);
    assert_eq!((report.by_clock, report.latest), (1, SignedDuration::from_secs(1)));
    let early = Violation::TooEarly { session: "s1".into() };
    assert_eq!(found(&history(Some(by_clock(49)))), [early]);
    assert_eq!(found(&history(None)), [Violation::Overdue { session: "s1".into() }]);
}

#[test]
fn a_long_history_is_checked_in_a_moment() {
    let mut history = History { now: instant(0), ..History::default() };
    for n in 0..100_000_u64 {
        let session = seen(&format!("s{n}"), &format!("u{}", n % 50), &format!("p{}", n % 64), 2 * n + 2);
        let end = ended(&session, 2 * n + 3);
        history.operations.push(login((4 * n, 4 * n + 1), &session));
        history.operations.push(operation((4 * n + 2, 4 * n + 3), &session, Outcome::LoggedOut(end.clone())));
        history.log.extend([Event::LoggedIn(session), Event::LoggedOut(end)]);
    }
    let began = std::time::Instant::now();
    assert_eq!(found(&history), []);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
