//! Whether a history can have been: what was answered to many clients at once, against what the event log says
//! afterwards.
//!
//! Every answer carries the phone's epoch, which grows with each change of the phone. That makes a phone a register
//! that is only ever changed from a state that was read: put in the order of their epochs, its logins and logouts must
//! form one chain, and an operation that had returned before another was called must stand before it. So the check
//! takes one pass over each phone's operations, not a search (linear but for the sorting).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Moments of the run on one monotonic clock.
pub(crate) type Moment = Duration;

/// A session as an answer or an event shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) phone: String,
    /// The phone's epoch when it began.
    pub(crate) epoch: u64,
    /// The end of its maximum time.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) session: Seen,
    /// The phone's epoch when it had ended.
    pub(crate) epoch: u64,
    pub(crate) at: Timestamp,
    /// Whether the end of its maximum time ended it.
    pub(crate) by_clock: bool,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A login was acknowledged, with what ended for it.
    LoggedIn(Seen, Vec<Ended>),
    /// A logout was acknowledged.
    LoggedOut(Ended),
    /// It was refused and changed nothing.
    Refused,
    /// Nobody knows: it may have happened, once, or not.
    Unknown,
}

/// One operation of a client, with all its retries under one request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// When it was first called.
    pub(crate) called: Moment,
    /// When it was answered.
    pub(crate) returned: Moment,
    pub(crate) user: String,
    pub(crate) phone: String,
    pub(crate) is_login: bool,
    pub(crate) outcome: Outcome,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    LoggedIn(Seen),
    LoggedOut(Ended),
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
    /// The log from the beginning, in its order, read when all was over.
    pub(crate) log: Vec<Event>,
    /// Sessions that were live then.
    pub(crate) live: Vec<Seen>,
    /// What the clock showed then.
    pub(crate) now: Timestamp,
    /// Whether a user may be on several phones at once.
    pub(crate) several_phones: bool,
}

impl History {
    /// What has to do with a violation, as text: operations and events of the session, or of the phone with that epoch.
    pub(crate) fn about(&self, violation: &Violation) -> Vec<String> {
        let words = match violation {
            Violation::LoginLost { session, .. }
            | Violation::LogoutLost { session, .. }
            | Violation::UserTwice { session, .. }
            | Violation::EndedTwice { session }
            | Violation::Differs { session }
            | Violation::TooEarly { session }
            | Violation::Overdue { session }
            | Violation::LiveDiffers { session } => [session.clone(), String::new()],
            Violation::PhoneTwice { phone, epoch }
            | Violation::EpochStale { phone, epoch }
            | Violation::OutOfTime { phone, epoch } => [phone.clone(), format!("epoch: {epoch},")],
            Violation::Invented { user, phone } => [user.clone(), phone.clone()],
        };
        let operations = self.operations.iter().map(|operation| format!("{operation:?}"));
        let events = self.log.iter().map(|event| format!("log: {event:?}"));
        operations.chain(events).filter(|text| words.iter().all(|word| text.contains(word))).collect()
    }
}

/// How late the clock may end a session (LO-5).
const LATE: SignedDuration = SignedDuration::from_secs(2);

/// What cannot have been.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A login was acknowledged, and the log does not have it.
    LoginLost { session: String, phone: String },
    /// A logout was acknowledged, and the log does not have it.
    LogoutLost { session: String, phone: String },
    /// Two sessions on a phone at once.
    PhoneTwice { phone: String, epoch: u64 },
    /// A user on two phones at once.
    UserTwice { user: String, session: String },
    /// A session ended that was not there, or twice.
    EndedTwice { session: String },
    /// The log has a session that nobody asked for, or one request made two.
    Invented { user: String, phone: String },
    /// Two changes of a phone made from the same state, or a later one with an epoch that is not greater.
    EpochStale { phone: String, epoch: u64 },
    /// An operation has a smaller epoch than one that had returned before it was called.
    OutOfTime { phone: String, epoch: u64 },
    /// What was answered is not what the log says.
    Differs { session: String },
    /// The clock ended a session before its instant.
    TooEarly { session: String },
    /// A session lived on past its instant, or was not ended by the clock when it should have been.
    Overdue { session: String },
    /// What is live is not what the log leaves.
    LiveDiffers { session: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What the check counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) violations: BTreeSet<Violation>,
    pub(crate) logins: usize,
    pub(crate) logouts: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    /// Sessions that the clock ended, and the longest after its instant.
    pub(crate) by_clock: usize,
    pub(crate) latest: SignedDuration,
}

/// Checks a history.
pub(crate) fn check(history: &History) -> Report {
    let mut report = Report::default();
    for operation in &history.operations {
        match operation.outcome {
            Outcome::LoggedIn(..) => report.logins += 1,
            Outcome::LoggedOut(_) => report.logouts += 1,
            Outcome::Refused => report.refused += 1,
            Outcome::Unknown => report.unknown += 1,
        }
    }
    let log = Log::read(history, &mut report);
    log.has_what_was_answered(history, &mut report);
    log.has_only_what_was_asked(history, &mut report);
    in_the_order_of_time(history, &mut report);
    leaves_what_is_live(history, &log, &mut report);
    report
}

/// The log by session.
#[derive(Default)]
struct Log<'a> {
    begun: HashMap<&'a str, &'a Seen>,
    ended: HashMap<&'a str, &'a Ended>,
}

impl<'a> Log<'a> {
    /// Reads it in its order: phones and users hold one session at a time, and epochs grow.
    fn read(history: &'a History, report: &mut Report) -> Self {
        let mut log = Self::default();
        let mut phones: HashMap<&str, &str> = HashMap::new();
        let mut users: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let mut epochs: HashMap<&str, u64> = HashMap::new();
        for event in &history.log {
            let found = &mut report.violations;
            match event {
                Event::LoggedIn(session) => {
                    let (id, phone, epoch) = (session.id.as_str(), session.phone.as_str(), session.epoch);
                    // A session that another makes room for ends in the same step, with the same epoch.
                    if epochs.insert(phone, epoch).is_some_and(|before| before > epoch) {
                        found.insert(Violation::EpochStale { phone: phone.into(), epoch });
                    }
                    if phones.insert(phone, id).is_some() {
                        found.insert(Violation::PhoneTwice { phone: phone.into(), epoch });
                    }
                    let his = users.entry(session.user.as_str()).or_default();
                    if !history.several_phones && !his.is_empty() {
                        let (user, session) = (session.user.clone(), id.into());
                        found.insert(Violation::UserTwice { user, session });
                    }
                    his.insert(id);
                    if log.begun.insert(id, session).is_some() {
                        found.insert(Violation::Differs { session: id.into() });
                    }
                }
                Event::LoggedOut(ended) => {
                    let session = &ended.session;
                    let (id, phone) = (session.id.as_str(), session.phone.as_str());
                    if epochs.insert(phone, ended.epoch).is_some_and(|before| before >= ended.epoch) {
                        found.insert(Violation::EpochStale { phone: phone.into(), epoch: ended.epoch });
                    }
                    let held = phones.get(phone) == Some(&id);
                    if held {
                        phones.remove(phone);
                    }
                    if let Some(his) = users.get_mut(session.user.as_str()) {
                        his.remove(id);
                    }
                    if log.ended.insert(id, ended).is_some() || !held {
                        found.insert(Violation::EndedTwice { session: id.into() });
                    }
                    on_time(ended, report);
                }
            }
        }
        log
    }

    /// What was acknowledged is in the log, as it was answered.
    fn has_what_was_answered(&self, history: &History, report: &mut Report) {
        let found = &mut report.violations;
        let mut ends = Vec::new();
        for operation in &history.operations {
            match &operation.outcome {
                Outcome::LoggedIn(session, ended) => {
                    match self.begun.get(session.id.as_str()) {
                        None => {
                            let (session, phone) = (session.id.clone(), session.phone.clone());
                            found.insert(Violation::LoginLost { session, phone });
                        }
                        Some(begun) if *begun != session => {
                            found.insert(Violation::Differs { session: session.id.clone() });
                        }
                        Some(_) => {}
                    }
                    ends.extend(ended);
                }
                Outcome::LoggedOut(ended) => ends.push(ended),
                Outcome::Refused | Outcome::Unknown => {}
            }
        }
        for ended in ends {
            let session = ended.session.id.clone();
            match self.ended.get(session.as_str()) {
                None => {
                    found.insert(Violation::LogoutLost { session, phone: ended.session.phone.clone() });
                }
                Some(logged) if *logged != ended => {
                    found.insert(Violation::Differs { session });
                }
                Some(_) => {}
            }
        }
    }

    /// Each session of the log was acknowledged to somebody once, or is one that an operation without an answer may
    /// have made, of which each makes one at most.
    fn has_only_what_was_asked(&self, history: &History, report: &mut Report) {
        let mut acknowledged = BTreeSet::new();
        let mut may_be: HashMap<(&str, &str), usize> = HashMap::new();
        for operation in &history.operations {
            match &operation.outcome {
                Outcome::LoggedIn(session, _) if !acknowledged.insert(session.id.as_str()) => {
                    report.violations.insert(Violation::Differs { session: session.id.clone() });
                }
                Outcome::Unknown if operation.is_login => {
                    *may_be.entry((operation.user.as_str(), operation.phone.as_str())).or_default() += 1;
                }
                _ => {}
            }
        }
        for (id, session) in &self.begun {
            if acknowledged.contains(id) {
                continue;
            }
            match may_be.get_mut(&(session.user.as_str(), session.phone.as_str())) {
                Some(left) if *left > 0 => *left -= 1,
                _ => {
                    let (user, phone) = (session.user.clone(), session.phone.clone());
                    report.violations.insert(Violation::Invented { user, phone });
                }
            }
        }
    }
}

/// The clock ends a session after its instant, and nobody else does so for long after it (LO-5).
fn on_time(ended: &Ended, report: &mut Report) {
    let session = ended.session.id.clone();
    match ended.session.expires_at {
        Some(at) if ended.by_clock => {
            report.by_clock += 1;
            report.latest = report.latest.max(ended.at.duration_since(at));
            if ended.at < at {
                report.violations.insert(Violation::TooEarly { session });
            }
        }
        None if ended.by_clock => {
            report.violations.insert(Violation::TooEarly { session });
        }
        _ => {}
    }
}

/// One pass over each phone's acknowledged operations, from the greatest epoch down: the earliest return of all that
/// are greater must not be before this one's call. Two operations of one epoch were made from the same state.
fn in_the_order_of_time(history: &History, report: &mut Report) {
    let mut phones: BTreeMap<&str, Vec<(u64, Moment, Moment)>> = BTreeMap::new();
    for operation in &history.operations {
        let mut changed = |phone, epoch| {
            phones.entry(phone).or_default().push((epoch, operation.called, operation.returned));
        };
        match &operation.outcome {
            Outcome::LoggedIn(session, ended) => {
                changed(session.phone.as_str(), session.epoch);
                // What ended on the same phone ended with the login itself.
                let others = ended.iter().filter(|ended| ended.session.phone != session.phone);
                others.for_each(|ended| changed(ended.session.phone.as_str(), ended.epoch));
            }
            Outcome::LoggedOut(ended) => changed(ended.session.phone.as_str(), ended.epoch),
            Outcome::Refused | Outcome::Unknown => {}
        }
    }
    for (phone, mut changes) in phones {
        changes.sort_unstable();
        let mut earliest = Moment::MAX;
        let mut above = None;
        for (epoch, called, returned) in changes.into_iter().rev() {
            let phone = phone.to_owned();
            if above == Some(epoch) {
                report.violations.insert(Violation::EpochStale { phone: phone.clone(), epoch });
            }
            if earliest < called {
                report.violations.insert(Violation::OutOfTime { phone, epoch });
            }
            earliest = earliest.min(returned);
            above = Some(epoch);
        }
    }
}

/// What is live at the end is what has begun and not ended, and none of it is overdue.
fn leaves_what_is_live(history: &History, log: &Log<'_>, report: &mut Report) {
    let live: BTreeSet<_> = history.live.iter().map(|session| session.id.as_str()).collect();
    let left = log.begun.keys().filter(|id| !log.ended.contains_key(*id)).copied().collect::<BTreeSet<_>>();
    for id in live.symmetric_difference(&left) {
        report.violations.insert(Violation::LiveDiffers { session: (*id).into() });
    }
    for session in &history.live {
        if session.expires_at.is_some_and(|at| at + LATE < history.now) {
            report.violations.insert(Violation::Overdue { session: session.id.clone() });
        }
    }
}
