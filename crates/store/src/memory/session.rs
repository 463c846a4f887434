//! Live sessions in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, Session, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use tokio::sync::watch;

use super::MemoryStore;
use super::commit::guards;
use crate::{
    About, Commit, CommitError, EventPage, EventsError, Guard, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError, StoredEvent, without_record,
};

/// By how much the floor of a store that was begun anew is beyond what it was begun with.
const BEYOND: u64 = 1 << 40;

/// The last event is never forgotten, so that its place is the last place.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Whether it must be begun.
    pub(super) is_lost: bool,
    /// The place before the first event.
    before: Sequence,
    /// The epoch of a phone without a record, and the version of a guard that is not there.
    epochs: u64,
    guards_at: u64,
    phones: BTreeMap<PhoneName, PhoneState>,
    guards: BTreeMap<Guard, u64>,
    events: VecDeque<StoredEvent>,
    replies: BTreeMap<RequestId, Reply>,
}

impl Sessions {
    /// Itself, once it is begun.
    fn begun(&mut self) -> Result<&mut Self, StoreError> {
        if self.is_lost { Err(StoreError::Lost) } else { Ok(self) }
    }

    fn begin(&mut self, phones: Vec<PhoneState>, after: Sequence) -> bool {
        if !self.is_lost {
            return false;
        }
        let known = phones.iter().map(|state| state.epoch.max(state.generation)).fold(after, u64::max);
        let beyond = known.saturating_add(1).max(after.saturating_add(BEYOND));
        let floor = if known == 0 { 0 } else { beyond };
        let guarded = phones.iter().filter_map(|state| state.session.as_ref()).flat_map(guards);
        let guards = guarded.map(|guard| (guard, floor.saturating_add(1))).collect();
        let phones = phones.into_iter().map(|state| (state.phone.clone(), state)).collect();
        *self = Self { before: after, epochs: floor, guards_at: floor, phones, guards, ..Self::default() };
        true
    }

    fn last(&self) -> Sequence {
        self.events.back().map_or(self.before, |event| event.sequence)
    }

    fn version(&self, guard: &Guard) -> u64 {
        self.guards.get(guard).copied().unwrap_or(self.guards_at)
    }

    fn live(&self) -> impl Iterator<Item = (&PhoneState, &Session)> {
        self.phones.values().filter_map(|phone| phone.session.as_ref().map(|session| (phone, session)))
    }

    fn of_user(&self, user: Option<&UserId>) -> impl Iterator<Item = &PhoneState> {
        self.live()
            .filter(move |(_, session)| user.is_none_or(|user| session.user == *user))
            .map(|(phone, _)| phone)
    }

    fn load(&self, about: &About) -> Loaded {
        let phone = self.phones.get(&about.phone).cloned();
        let others = self
            .live()
            .filter(|(phone, _)| phone.phone != about.phone)
            .filter(|(_, session)| {
                about.user.as_ref() == Some(&session.user)
                    || (about.acd_line.is_some() && about.acd_line == session.acd_line)
            })
            .map(|(phone, _)| phone.clone())
            .collect();
        let user = about.user.clone().map(Guard::User);
        let line = about.acd_line.clone().map(Guard::AcdLine);
        let versioned = |guard: Guard| {
            let version = self.version(&guard);
            (guard, version)
        };
        Loaded {
            held: Held {
                phone: phone.unwrap_or_else(|| without_record(about.phone.clone(), self.epochs)),
                others,
            },
            guards: user.into_iter().chain(line).map(versioned).collect(),
            history: Arc::default(),
        }
    }

    fn has_moved(&self, commit: &Commit) -> bool {
        let epoch = |phone: &PhoneName| self.phones.get(phone).map_or(self.epochs, |phone| phone.epoch);
        let answered = |reply: &Reply| {
            self.replies.get(&reply.request).is_some_and(|known| known.expires_at > commit.at)
        };
        !commit.follows_what_it_read()
            || commit.read.phones().any(|read| read.epoch != epoch(&read.phone))
            || commit.read.guards.iter().any(|(guard, read)| *read != self.version(guard))
            || commit.reply.as_ref().is_some_and(answered)
    }

    fn commit(&mut self, commit: Commit) -> Result<Sequence, CommitError> {
        if self.has_moved(&commit) {
            return Err(CommitError::Moved);
        }
        for guard in commit.guards_moved() {
            *self.guards.entry(guard).or_insert(self.guards_at) += 1;
        }
        for state in commit.states {
            self.phones.insert(state.phone.clone(), state);
        }
        self.tell(commit.events, commit.at);
        if let Some(reply) = commit.reply {
            self.replies.insert(reply.request.clone(), reply);
        }
        Ok(self.last())
    }

    fn tell(&mut self, events: Vec<SessionEvent>, at: Timestamp) -> Sequence {
        for event in events {
            let sequence = self.last() + 1;
            self.events.push_back(StoredEvent { sequence, at, event });
        }
        self.last()
    }

    fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        if after > self.last() {
            return Err(EventsError::Ahead { after });
        }
        let oldest = self.events.front().map_or(self.last().saturating_add(1), |event| event.sequence);
        if after.saturating_add(1) < oldest {
            return Err(EventsError::TooOld { after, oldest });
        }
        let newer = self.events.iter().filter(|event| event.sequence > after);
        Ok(EventPage { events: newer.take(limit as usize).cloned().collect() })
    }

    fn trim(&mut self, now: Timestamp, keep: Keep) {
        self.replies.retain(|_, reply| reply.expires_at > now);
        let goes = |event: &StoredEvent| event.at < keep.since && event.sequence <= keep.after;
        while self.events.len() > 1 && self.events.front().is_some_and(goes) {
            self.events.pop_front();
        }
        let held: BTreeSet<_> = self.live().flat_map(|(_, session)| guards(session)).collect();
        let gone = self.guards.extract_if(.., |guard, _| !held.contains(guard)).map(|(_, version)| version);
        self.guards_at = gone.fold(self.guards_at, u64::max);
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn is_begun(&self) -> Result<bool, StoreError> {
        Ok(!self.state().sessions.is_lost)
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        Ok(self.state().sessions.begin(phones, after))
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        Ok(self.state().sessions.begun()?.load(about))
    }

    /// To load asks nobody outside the process.
    fn recall(&self, _: &About) -> Option<Loaded> {
        None
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let mut state = self.state();
        let last = state.sessions.begun()?.commit(commit)?;
        self.latest.send_if_modified(|latest| std::mem::replace(latest, last) != last);
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let mut state = self.state();
        let last = state.sessions.begun()?.tell(events, at);
        self.latest.send_if_modified(|latest| std::mem::replace(latest, last) != last);
        Ok(last)
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        Ok(self.state().sessions.begun()?.phones.get(phone).cloned())
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        let mut state = self.state();
        let holder = state.sessions.begun()?.live().find(|(_, session)| session.id == *id);
        Ok(holder.map(|(phone, _)| phone.clone()))
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        let mut state = self.state();
        let phones = state.sessions.begun()?.of_user(user);
        let rest = phones.filter(|phone| after.is_none_or(|after| phone.phone > *after));
        Ok(rest.take(limit as usize).cloned().collect())
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        Ok(state.sessions.begun()?.of_user(None).count() as u64)
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        let mut state = self.state();
        let sessions = state.sessions.begun()?;
        Ok(Snapshot { sequence: sessions.last(), phones: sessions.of_user(user).cloned().collect() })
    }

    async fn place(&self) -> Result<Sequence, StoreError> {
        Ok(self.state().sessions.begun()?.last())
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let mut state = self.state();
        let live = state.sessions.begun()?.live();
        let deadlines = live.filter_map(|(phone, _)| Some((phone.due_at()?, &phone.phone)));
        let mut due: Vec<_> = deadlines.filter(|(due_at, _)| *due_at <= now).collect();
        due.sort();
        Ok(due.into_iter().take(limit as usize).map(|(_, phone)| phone.clone()).collect())
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().sessions.begun()?.live().filter_map(|(phone, _)| phone.due_at()).min())
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.state().sessions.begun()?.events(after, limit)
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.latest.subscribe()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        let mut state = self.state();
        let sessions = state.sessions.begun()?;
        Ok(sessions.replies.get(request).filter(|reply| reply.expires_at > now).cloned())
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.state().sessions.begun()?.trim(now, keep);
        Ok(())
    }
}
