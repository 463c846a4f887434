//! Who is where, by phone, user, profile and line: what the event log says up to one place in it. Each process keeps it
//! in memory, so that such questions cost the store nothing.
//!
//! It knows a session as the last event told of it. What changes without an event (whether a phone has acknowledged its
//! wear, what an agent does) is for the store to say.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use roamline_domain::phone_state::{PhoneState, RefreshedSession, Session, SessionEvent};
use roamline_domain::{LineName, PhoneName, ProfileName, UserId};

/// Which sessions are asked for; nothing said is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub user: Option<UserId>,
    pub phone: Option<PhoneName>,
    pub profile: Option<ProfileName>,
}

impl Filter {
    pub(crate) fn takes(&self, session: &Session) -> bool {
        self.user.as_ref().is_none_or(|user| session.user == *user)
            && self.phone.as_ref().is_none_or(|phone| session.phone == *phone)
            && self.profile.as_ref().is_none_or(|profile| session.profile == *profile)
    }

    /// Whether it takes every session.
    pub(crate) fn is_all(&self) -> bool {
        self.user.is_none() && self.phone.is_none() && self.profile.is_none()
    }
}

/// Live sessions, and where to find them.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    sessions: BTreeMap<PhoneName, Arc<Session>>,
    users: Index<UserId>,
    profiles: Index<ProfileName>,
    lines: Index<LineName>,
    /// Epochs of phones when their last sessions had ended, until the next ones begin.
    ended: HashMap<PhoneName, u64>,
}

impl Whereabouts {
    /// Takes over what an event tells. An event that is older than what is known already does no harm, as long as all
    /// that came after it are applied, too.
    pub(crate) fn apply(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::LoggedIn(session)
            | SessionEvent::LogoutPending(session)
            | SessionEvent::Refreshed(RefreshedSession { session, .. }) => self.put(session),
            SessionEvent::LoggedOut(out) => {
                let phone = &out.session.phone;
                if self.sessions.get(phone).is_some_and(|live| live.id == out.session.id) {
                    self.forget(phone);
                }
                self.ended.insert(phone.clone(), out.epoch);
            }
            SessionEvent::Redressed(_) | SessionEvent::Refused(_) => {}
        }
    }

    /// Takes over a phone's record.
    pub(crate) fn learn(&mut self, state: &PhoneState) {
        if let Some(session) = &state.session {
            self.put(session);
        }
    }

    /// Takes over the epochs of phones whose last sessions ended before all events that were applied.
    pub(crate) fn recall(&mut self, ends: HashMap<PhoneName, u64>) {
        for (phone, epoch) in ends {
            if !self.sessions.contains_key(&phone) {
                self.ended.entry(phone).or_insert(epoch);
            }
        }
    }

    /// The sessions that match, in the order of their phones.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<Arc<Session>> {
        let at = |phones: &[PhoneName]| {
            let mut found: Vec<_> =
                phones.iter().filter_map(|phone| self.sessions.get(phone).cloned()).collect();
            found.retain(|session| filter.takes(session));
            found.sort_by(|a, b| a.phone.cmp(&b.phone));
            found
        };
        match filter {
            Filter { phone: Some(phone), .. } => at(std::slice::from_ref(phone)),
            Filter { user: Some(user), .. } => at(self.users.get(user)),
            Filter { profile: Some(profile), .. } => at(self.profiles.get(profile)),
            Filter { user: None, phone: None, profile: None } => self.sessions.values().cloned().collect(),
        }
    }

    /// The sessions that wear a line, in the order of their phones.
    pub(crate) fn wearing(&self, line: &LineName) -> Vec<Arc<Session>> {
        let mut found: Vec<_> =
            self.lines.get(line).iter().filter_map(|phone| self.sessions.get(phone).cloned()).collect();
        found.sort_by(|a, b| a.phone.cmp(&b.phone));
        found
    }

    /// The phone's epoch when its last session had ended, where nobody is logged in and that is known.
    pub(crate) fn ended_at_epoch(&self, phone: &PhoneName) -> Option<u64> {
        self.ended.get(phone).copied()
    }

    fn put(&mut self, session: &Session) {
        let phone = &session.phone;
        self.forget(phone);
        self.ended.remove(phone);
        self.users.add(&session.user, phone);
        self.profiles.add(&session.profile, phone);
        session.lines.iter().for_each(|line| self.lines.add(line, phone));
        self.sessions.insert(phone.clone(), Arc::new(session.told()));
    }

    fn forget(&mut self, phone: &PhoneName) {
        if let Some(session) = self.sessions.remove(phone) {
            self.users.remove(&session.user, phone);
            self.profiles.remove(&session.profile, phone);
            session.lines.iter().for_each(|line| self.lines.remove(line, phone));
        }
    }
}

/// Phones by something.
#[derive(Debug)]
struct Index<K>(HashMap<K, Vec<PhoneName>>);

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    fn get(&self, key: &K) -> &[PhoneName] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    fn add(&mut self, key: &K, phone: &PhoneName) {
        let phones = match self.0.get_mut(key) {
            Some(phones) => phones,
            None => self.0.entry(key.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        if !phones.contains(phone) {
            phones.push(phone.clone());
        }
    }

    fn remove(&mut self, key: &K, phone: &PhoneName) {
        if let Some(phones) = self.0.get_mut(key) {
            phones.retain(|known| known != phone);
            if phones.is_empty() {
                self.0.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roamline_store::conformance::fixture::{self, agent};
    use roamline_store::memory::MemoryStore;
    use roamline_store::{About, SessionStore};

    use super::*;

    const PHONES: u32 = 4;

    /// What the store holds of each phone.
    async fn held(store: &MemoryStore) -> Vec<PhoneState> {
        let mut states = Vec::new();
        for number in 0..PHONES {
            let about = About::phone(fixture::phone(number));
            states.push(store.load(&about).await.unwrap().held.phone);
        }
        states
    }

    fn ids(sessions: &[Arc<Session>]) -> Vec<(String, String)> {
        sessions.iter().map(|session| (session.phone.to_string(), session.id.to_string())).collect()
    }

    #[tokio::test]
    async fn phones_that_were_read_one_after_another_are_exact_once_the_events_since_are_applied() {
        let store = MemoryStore::new();
        let mut history = vec![held(&store).await];
        for step in 0..60_u32 {
            let number = (step * 7 + step / 5) % PHONES;
            let who = agent(step % 3);
            let read = store.load(&who.about(number)).await.unwrap();
            let is_out = read.held.phone.session.is_some() && step % 2 == 0;
            let commit = if is_out { fixture::logout(read) } else { who.login(read) };
            store.commit(commit).await.unwrap();
            history.push(held(&store).await);
        }
        let end = store.snapshot(None).await.unwrap();
        let truth: Vec<_> =
            end.phones.iter().filter_map(|state| state.session.clone()).map(Arc::new).collect();
        let places = usize::try_from(end.sequence).unwrap();
        assert!(places >= 60);
        for from in 0..60_u64 {
            let mut whereabouts = Whereabouts::default();
            // Each phone is read some steps after the one before. A step makes one event at least.
            let reads = (usize::try_from(from).unwrap()..).step_by(9).take(PHONES as usize);
            for (number, read_at) in reads.enumerate() {
                whereabouts.learn(&history[read_at.min(60)][number]);
            }
            for event in store.events(from, 1000).await.unwrap().events {
                whereabouts.apply(&event.event);
            }
            let found = whereabouts.matching(&Filter::default());
            assert_eq!(ids(&found), ids(&truth), "begun at {from}");
            let line = "2101".parse().unwrap();
            assert_eq!(ids(&whereabouts.wearing(&line)), ids(&truth));
            for number in 0..3 {
                let filter = Filter { user: Some(fixture::user(number)), ..Filter::default() };
                let his: Vec<_> = truth.iter().filter(|session| filter.takes(session)).cloned().collect();
                assert_eq!(ids(&whereabouts.matching(&filter)), ids(&his));
            }
        }
    }

    /// Resident memory of this process, in bytes.
    fn resident() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    #[tokio::test]
    async fn what_a_session_costs_in_memory_is_told() {
        let number = if std::env::var_os("ROAMLINE_TEST_FULL").is_some() { 100_000_u32 } else { 1000 };
        let read = MemoryStore::new().load(&agent(0).about(0)).await.unwrap();
        let state = agent(0).login(read).states.remove(0);
        let before = resident();
        let mut whereabouts = Whereabouts::default();
        for n in 0..number {
            let mut state = state.clone();
            let session = state.session.as_mut().unwrap();
            session.phone = fixture::phone(n);
            session.user = fixture::user(n);
            session.profile = format!("profile of {n}").parse().unwrap();
            session.lines = (0..2).map(|line| format!("{n:06}{line}@office").parse().unwrap()).collect();
            whereabouts.learn(&state);
        }
        let bytes = resident().saturating_sub(before) / u64::from(number);
        println!("{bytes} bytes for each of {number} sessions");
        assert_eq!(whereabouts.matching(&Filter::default()).len(), number as usize);
    }
}
