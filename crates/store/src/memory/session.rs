//! Live sessions in memory.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, Session, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use tokio::sync::watch;

use super::MemoryStore;
use crate::{
    About, Commit, CommitError, EventPage, EventsError, Guard, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError, StoredEvent,
};

/// The last event is never forgotten, so that its place is the last place.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    phones: BTreeMap<PhoneName, PhoneState>,
    guards: BTreeMap<Guard, u64>,
    events: VecDeque<StoredEvent>,
    replies: BTreeMap<RequestId, Reply>,
}

impl Sessions {
    fn last(&self) -> Sequence {
        self.events.back().map_or(0, |event| event.sequence)
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
            let version = self.guards.get(&guard).copied().unwrap_or(0);
            (guard, version)
        };
        Loaded {
            held: Held { phone: phone.unwrap_or_else(|| PhoneState::new(about.phone.clone())), others },
            guards: user.into_iter().chain(line).map(versioned).collect(),
        }
    }

    fn has_moved(&self, commit: &Commit) -> bool {
        let epoch = |phone: &PhoneName| self.phones.get(phone).map_or(0, |phone| phone.epoch);
        let answered = |reply: &Reply| {
            self.replies.get(&reply.request).is_some_and(|known| known.expires_at > commit.at)
        };
        !commit.follows_what_it_read()
            || commit.read.phones().any(|read| read.epoch != epoch(&read.phone))
            || commit.read.guards.iter().any(|(g, read)| *read != self.guards.get(g).copied().unwrap_or(0))
            || commit.reply.as_ref().is_some_and(answered)
    }

    fn commit(&mut self, commit: Commit) -> Result<Sequence, CommitError> {
        if self.has_moved(&commit) {
            return Err(CommitError::Moved);
        }
        for guard in commit.guards_moved() {
            *self.guards.entry(guard).or_default() += 1;
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
        if let Some(oldest) = self.events.front().map(|event| event.sequence)
            && after.saturating_add(1) < oldest
        {
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
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        Ok(self.state().sessions.load(about))
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let mut state = self.state();
        let last = state.sessions.commit(commit)?;
        self.latest.send_if_modified(|latest| std::mem::replace(latest, last) != last);
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let mut state = self.state();
        let last = state.sessions.tell(events, at);
        self.latest.send_if_modified(|latest| std::mem::replace(latest, last) != last);
        Ok(last)
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        Ok(self.state().sessions.phones.get(phone).cloned())
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        let state = self.state();
        let holder = state.sessions.live().find(|(_, session)| session.id == *id);
        Ok(holder.map(|(phone, _)| phone.clone()))
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        let state = self.state();
        let rest =
            state.sessions.of_user(user).filter(|phone| after.is_none_or(|after| phone.phone > *after));
        Ok(rest.take(limit as usize).cloned().collect())
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        let state = self.state();
        let phones = state.sessions.of_user(user).cloned().collect();
        Ok(Snapshot { sequence: state.sessions.last(), phones })
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let state = self.state();
        let deadlines = state.sessions.live().filter_map(|(phone, _)| Some((phone.due_at()?, &phone.phone)));
        let mut due: Vec<_> = deadlines.filter(|(due_at, _)| *due_at <= now).collect();
        due.sort();
        Ok(due.into_iter().take(limit as usize).map(|(_, phone)| phone.clone()).collect())
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().sessions.live().filter_map(|(phone, _)| phone.due_at()).min())
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.state().sessions.events(after, limit)
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.latest.subscribe()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        let state = self.state();
        Ok(state.sessions.replies.get(request).filter(|reply| reply.expires_at > now).cloned())
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.state().sessions.trim(now, keep);
        Ok(())
    }
}
