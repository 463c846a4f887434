//! The rules once more, in plain maps and without the service's code: who is on which phone, until when, what each
//! answer is and what is told of it. It knows no store, no versions and no wire.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::{AgentState, LogoutReason};

use crate::daily::Daily;
use crate::site::{OwnLimit, PASSWORD, PHONES, facts};
use crate::state::{Answer, Number, Parameters, Phone, Session, Todo, Told};
use crate::step::{By, Change, Clear, Guard, Login, Logout, Move, Multiple, Occupied, Step, Target, Worn};

/// For how long an answer to a request id is remembered (LI-11).
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);
/// For how long a logout waits for the handset (LO-4), which is the service's default.
const DEFERRED: SignedDuration = SignedDuration::from_hours(4);
/// How long a login waits for the handset (LI-8), which is the service's default.
const DROPPED_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// A request with an id, and what it was answered.
#[derive(Clone, Debug)]
struct Remembered {
    request: String,
    answer: Answer,
    until: Timestamp,
}

/// The cluster as the rules have it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    /// The latest that the clock ever showed.
    latest: Timestamp,
    pub(crate) parameters: Parameters,
    pub(crate) phones: Vec<Phone>,
    pub(crate) sessions: Vec<Session>,
    requests: BTreeMap<u8, Remembered>,
    /// What was told, in order; in one step in any order, except that a login comes last.
    pub(crate) told: Vec<Vec<Told>>,
    /// To the last operation.
    pub(crate) answer: Answer,
}

impl World {
    pub(crate) fn new(now: Timestamp) -> Self {
        let todo = Todo { restart: true, ..Todo::default() };
        let phone = Phone { holds: None, up: false, newest: 1, worn: 0, todo, last_user: None };
        let parameters = Parameters {
            multiple: Multiple::NotAllowed,
            occupied: Occupied::OnRequest,
            enforce: false,
            maximum: 28_800,
            remember: false,
            clear: Clear::EveryLogout,
            guard: Guard::Allow,
            daily: Daily::none(),
        };
        Self {
            now,
            latest: now,
            parameters,
            phones: vec![phone; PHONES],
            sessions: Vec::new(),
            requests: BTreeMap::new(),
            told: Vec::new(),
            answer: Answer::Done,
        }
    }

    /// Sessions that are live.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Number, &Session)> {
        self.phones.iter().filter_map(|phone| phone.holds).map(|number| (number, &self.sessions[number]))
    }

    /// Whether the phone of a live session has said that it wears it.
    pub(crate) fn is_applied(&self, session: &Session) -> bool {
        self.phones[session.phone].worn >= session.wear
    }

    /// Whether the rules say what the operation comes to: where the clock went back behind the end of a remembered
    /// answer, a store may know it still.
    pub(crate) fn decides(&self, step: &Step) -> bool {
        let (request, back) = match step {
            Step::Login { request, .. } => (*request, None),
            Step::Logout { request, logout: Logout { target: Target::Session(back), .. }, .. } => {
                (*request, Some(*back))
            }
            Step::Logout { request, .. } => (*request, None),
            _ => (None, None),
        };
        let known = request.and_then(|id| self.requests.get(&id));
        known.is_none_or(|known| known.until > self.latest || known.until <= self.now)
            && back.is_none_or(|back| back < self.sessions.len())
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        self.told.push(Vec::new());
        self.answer = match step {
            Step::Login { login, request, .. } => self.login(login, *request),
            Step::Logout { logout, request, .. } => self.logout(logout, *request),
            Step::Hook { phone, up, .. } => self.hook(*phone, *up),
            Step::Acknowledge { phone, worn, .. } => self.acknowledge(*phone, *worn),
            Step::Agent { by, user, state, .. } => self.agent(*by, *user, *state),
            Step::Clock(moved) => self.move_clock(*moved),
            Step::Set(change) => self.set(change),
            Step::Sweep { .. } => self.sweep(),
            Step::Restart { .. } => {
                self.schedule();
                self.sweep()
            }
            Step::Resume { .. } | Step::Look { .. } => Answer::Done,
        };
    }

    fn tell(&mut self, told: Told) {
        self.told.last_mut().expect("an operation").push(told);
    }

    /// LI-1, LI-2.
    fn login(&mut self, login: &Login, request: Option<u8>) -> Answer {
        if login.phone >= PHONES {
            return Answer::Refused(ErrorReason::PhoneNotFound);
        }
        match login.by {
            By::Credential(false) => return Answer::Refused(ErrorReason::CredentialRefused),
            By::User(other) if other != login.user => return Answer::Refused(ErrorReason::ScopeMissing),
            _ => {}
        }
        // A credential is no part of what a request is.
        let by = if login.by == By::Credential(true) { PASSWORD.into() } else { format!("{:?}", login.by) };
        let asked = format!("{by} {login:?}");
        if let Some(answer) = self.remembered(request, &asked) {
            return answer;
        }
        let answer = self.decide_login(login).unwrap_or_else(Answer::Refused);
        self.remember(request, asked, &answer);
        answer
    }

    fn decide_login(&mut self, login: &Login) -> Result<Answer, ErrorReason> {
        let expires_at = self.expiry(login)?;
        let mut ended = BTreeMap::new();
        // SP-13, LO-4.
        if let Some(present) = self.phones[login.phone].holds {
            let session = &self.sessions[present];
            let goes = match self.parameters.occupied {
                Occupied::Refuse => false,
                Occupied::OnRequest => login.take_over,
                Occupied::Always => true,
            };
            if session.user == login.user {
                ended.insert(present, LogoutReason::User);
            } else if session.waits.is_none() && goes {
                ended.insert(present, LogoutReason::NextUser);
            } else {
                return Err(ErrorReason::PhoneOccupied);
            }
        }
        // SP-5, LI-9.
        let elsewhere = |session: &Session| session.user == login.user && session.phone != login.phone;
        let his: Vec<_> = self.live().filter(|(_, s)| elsewhere(s)).map(|(number, _)| number).collect();
        match self.parameters.multiple {
            Multiple::Allowed => {}
            Multiple::NotAllowed if his.is_empty() => {}
            Multiple::NotAllowed => return Err(ErrorReason::LoggedInElsewhere),
            Multiple::AutoLogout => ended.extend(his.iter().map(|n| (*n, LogoutReason::LoggedInElsewhere))),
        }
        // CC-7.
        let line = facts(login.user).acd_line;
        let held = self.live().any(|(number, session)| {
            line.is_some() && facts(session.user).acd_line == line && !ended.contains_key(&number)
        });
        if held {
            return Err(ErrorReason::LineInUse);
        }
        // CC-9.
        if ended.keys().any(|number| self.is_guarded(*number)) {
            return Err(ErrorReason::AgentBusy);
        }
        for (number, reason) in &ended {
            self.end(*number, *reason);
        }
        Ok(self.begin(login, expires_at, ended))
    }

    /// Whether the agent is at work, and nobody may log him out then (CC-9).
    fn is_guarded(&self, number: Number) -> bool {
        let at_work = [AgentState::Ready, AgentState::Reserved, AgentState::Talking, AgentState::WrapUp];
        let agent = self.sessions[number].agent;
        self.parameters.guard == Guard::Block && agent.is_some_and(|state| at_work.contains(&state))
    }

    /// The end of the maximum time (SP-1, SP-2, SP-20).
    fn expiry(&self, login: &Login) -> Result<Option<Timestamp>, ErrorReason> {
        let allowed = match facts(login.user).limit {
            OwnLimit::Cluster => self.parameters.enforce.then_some(self.parameters.maximum),
            OwnLimit::Unlimited => None,
            OwnLimit::Seconds(seconds) => Some(seconds),
        };
        match (login.asks, allowed) {
            (Some(asked), Some(allowed)) if asked > allowed => Err(ErrorReason::DurationTooLong),
            (asked, allowed) => {
                let seconds = asked.or(allowed);
                Ok(seconds.map(|seconds| self.now + SignedDuration::from_secs(seconds.cast_signed())))
            }
        }
    }

    fn begin(
        &mut self,
        login: &Login,
        expires_at: Option<Timestamp>,
        ended: BTreeMap<Number, LogoutReason>,
    ) -> Answer {
        let number = self.sessions.len();
        let phone = &mut self.phones[login.phone];
        // Where somebody left the phone for it, the phone is told of both at once.
        let left = ended.keys().any(|ended| self.sessions[*ended].phone == login.phone);
        phone.newest += u64::from(!left);
        phone.holds = Some(number);
        phone.todo.restart = true;
        phone.todo.clear |= self.parameters.clear == Clear::Manual;
        phone.last_user = self.parameters.remember.then_some(login.user);
        let session = Session {
            user: login.user,
            phone: login.phone,
            since: self.now,
            expires_at,
            idle_since: (!phone.up).then_some(self.now),
            daily_at: self.parameters.daily.next_after(self.now),
            waits: None,
            apply_by: phone.up.then(|| self.now + DROPPED_AFTER),
            agent: None,
            wear: phone.newest,
        };
        self.sessions.push(session);
        self.tell(Told::LoggedIn(number));
        Answer::LoggedIn { session: number, ended, replayed: false }
    }

    /// LO-2, LO-3, LO-9.
    fn end(&mut self, number: Number, reason: LogoutReason) {
        let session = &self.sessions[number];
        let phone = &mut self.phones[session.phone];
        phone.holds = None;
        phone.newest += 1;
        let by_hand = [
            LogoutReason::User,
            LogoutReason::NextUser,
            LogoutReason::Administrator,
            LogoutReason::Supervisor,
            LogoutReason::Application,
        ];
        phone.todo.restart = true;
        phone.todo.cancel = true;
        phone.todo.clear |= match self.parameters.clear {
            Clear::Never => false,
            Clear::Manual => by_hand.contains(&reason),
            Clear::EveryLogout => true,
        };
        phone.last_user = self.parameters.remember.then_some(session.user);
        self.tell(Told::LoggedOut(number, reason));
    }

    fn logout(&mut self, logout: &Logout, request: Option<u8>) -> Answer {
        let reason = match logout.by {
            By::Administrator => LogoutReason::Administrator,
            By::Application => LogoutReason::Application,
            By::User(_) => LogoutReason::User,
            By::Credential(_) => return Answer::Refused(ErrorReason::TokenMissing),
        };
        if logout.force && matches!(logout.by, By::User(_)) {
            return Answer::Refused(ErrorReason::ScopeMissing);
        }
        let named = match logout.target {
            Target::Session(back) => Some(self.sessions.len() - 1 - back),
            _ => None,
        };
        // A session is the same whatever its place from the end has become.
        let target = named.is_none().then_some(logout.target);
        let late = logout.is_late.then_some(self.sessions.len());
        let asked = format!("{:?} {named:?} {target:?} {} {late:?}", logout.by, logout.force);
        if let Some(answer) = self.remembered(request, &asked) {
            return answer;
        }
        let found = match logout.target {
            Target::Phone(phone) if phone >= PHONES => Err(ErrorReason::PhoneNotFound),
            Target::Phone(phone) => self.phones[phone].holds.ok_or(ErrorReason::NotLoggedIn),
            Target::Session(_) | Target::Nothing => named
                .filter(|number| self.live().any(|(live, _)| live == *number))
                .ok_or(ErrorReason::SessionNotFound),
        };
        let answer = match found {
            Err(refused) => Answer::Refused(refused),
            Ok(number) if matches!(logout.by, By::User(user) if user != self.sessions[number].user) => {
                Answer::Refused(ErrorReason::ScopeMissing)
            }
            Ok(_) if logout.is_late => Answer::Refused(ErrorReason::PhoneEpochStale),
            Ok(number) if !logout.force && self.is_guarded(number) => Answer::Refused(ErrorReason::AgentBusy),
            Ok(number) => {
                self.end(number, reason);
                Answer::LoggedOut { session: number, reason, replayed: false }
            }
        };
        self.remember(request, asked, &answer);
        answer
    }

    /// LI-11: the same answer again, or the refusal of an id that was used for something else.
    fn remembered(&self, request: Option<u8>, asked: &str) -> Option<Answer> {
        let known = self.requests.get(&request?).filter(|known| known.until > self.now)?;
        if known.request != asked {
            return Some(Answer::Refused(ErrorReason::RequestIdReused));
        }
        let mut answer = known.answer.clone();
        if let Answer::LoggedIn { replayed, .. } | Answer::LoggedOut { replayed, .. } = &mut answer {
            *replayed = true;
        }
        Some(answer)
    }

    /// What was refused happened not even once, and is not remembered.
    fn remember(&mut self, request: Option<u8>, asked: String, answer: &Answer) {
        if let (Some(id), Answer::LoggedIn { .. } | Answer::LoggedOut { .. }) = (request, answer) {
            let until = self.now + REMEMBERED;
            self.requests.insert(id, Remembered { request: asked, answer: answer.clone(), until });
        }
    }

    /// LI-8, LO-4, LO-6.
    fn hook(&mut self, number: usize, up: bool) -> Answer {
        let phone = &mut self.phones[number];
        if std::mem::replace(&mut phone.up, up) == up {
            return Answer::Done;
        }
        if let Some(live) = phone.holds {
            let session = &mut self.sessions[live];
            session.idle_since = (!up).then_some(self.now);
            if !up {
                session.apply_by = None;
                if let Some((reason, _)) = session.waits {
                    self.end(live, reason);
                }
            }
        }
        Answer::Done
    }

    /// CC-9.
    fn agent(&mut self, by: By, user: usize, state: AgentState) -> Answer {
        if matches!(by, By::User(other) if other != user) {
            return Answer::Refused(ErrorReason::ScopeMissing);
        }
        let his: Vec<_> = self.live().filter(|(_, s)| s.user == user).map(|(number, _)| number).collect();
        his.iter().for_each(|number| self.sessions[*number].agent = Some(state));
        if his.is_empty() { Answer::Refused(ErrorReason::SessionNotFound) } else { Answer::Done }
    }

    /// EV-3.
    fn acknowledge(&mut self, number: usize, worn: Worn) -> Answer {
        let phone = &mut self.phones[number];
        let worn = match worn {
            Worn::Newest => phone.newest,
            Worn::OneOlder => phone.newest - 1,
            Worn::NeverGiven => return Answer::Refused(ErrorReason::GenerationUnknown),
        };
        if worn > phone.worn {
            phone.worn = worn;
            if worn == phone.newest {
                phone.todo = Todo::default();
            }
        }
        Answer::Acknowledged { newest: phone.newest }
    }

    fn move_clock(&mut self, moved: Move) -> Answer {
        self.now = match moved {
            Move::On(seconds) => self.now + SignedDuration::from_secs(seconds.into()),
            Move::Back(milliseconds) => self.now - SignedDuration::from_millis(milliseconds.into()),
            Move::ToDeadline(nanoseconds) => {
                let next =
                    self.live().filter_map(|(_, session)| session.next_logout()).map(|(at, _)| at).min();
                let to = next.map(|at| at + SignedDuration::from_nanos(nanoseconds));
                to.unwrap_or(self.now).max(self.now)
            }
        };
        self.latest = self.latest.max(self.now);
        Answer::Done
    }

    fn set(&mut self, change: &Change) -> Answer {
        let parameters = &mut self.parameters;
        match change {
            Change::Multiple(multiple) => parameters.multiple = *multiple,
            Change::Occupied(occupied) => parameters.occupied = *occupied,
            Change::Enforce(enforce) => parameters.enforce = *enforce,
            Change::MaximumTime(seconds) => parameters.maximum = *seconds,
            Change::Remember(remember) => parameters.remember = *remember,
            Change::Clear(clear) => parameters.clear = *clear,
            Change::Guard(guard) => parameters.guard = *guard,
            Change::Daily(daily) if parameters.daily == *daily => {}
            Change::Daily(daily) => {
                parameters.daily = daily.clone();
                self.schedule();
            }
        }
        Answer::Done
    }

    /// SP-21, LO-7: live sessions end at the next of the daily times as they are now. What is due at one of them, or
    /// waits for the handset, stays so.
    fn schedule(&mut self) {
        let numbers: Vec<_> = self.live().map(|(number, _)| number).collect();
        for number in numbers {
            let session = &mut self.sessions[number];
            let daily = &self.parameters.daily;
            let is_due = session.daily_at.is_some_and(|at| at <= self.now && daily.has(at));
            if session.waits.is_none() && !is_due {
                session.daily_at = daily.next_after(self.now);
            }
        }
    }

    /// LO-4, LO-5, LI-8: what has fallen due happens, in any order of phones.
    fn sweep(&mut self) -> Answer {
        let numbers: Vec<_> = self.live().map(|(number, _)| number).collect();
        for number in numbers {
            let session = &mut self.sessions[number];
            let Some((at, reason)) = session.next_logout().filter(|(at, _)| *at <= self.now) else {
                continue;
            };
            let until = at + DEFERRED;
            // What the phone never came to wear is on no call of his, and waits for nothing (LI-8).
            let may_wait = session.waits.is_none() && session.apply_by.is_none();
            if may_wait && self.phones[session.phone].up && until > self.now {
                session.waits = Some((reason, until));
                self.tell(Told::LogoutPending(number));
            } else {
                self.end(number, reason);
            }
        }
        Answer::Done
    }
}
