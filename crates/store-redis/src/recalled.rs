//! What this process has committed last, so that the next decision about it is made without a look at the store. It is
//! never believed: a commit that is made from it is refused where it is old. It is forgotten when others tell of a change,
//! when a commit was refused, and with the link, since a server that takes over may count other changes as the same.

use std::sync::Arc;

use quick_cache::sync::Cache;
use roamline_domain::PhoneName;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, Session};
use roamline_store::{About, Commit, Guard, Loaded, Sequence, StoredEvent};

/// Phones kept, and guards: some 60 MB at most, as renderings are.
const PHONES: usize = 20_000;
const GUARDS: usize = 2 * PHONES;

/// Something as it was committed.
#[derive(Clone)]
struct Known<T> {
    what: Arc<T>,
    /// By which link, and of which history it was.
    link: u64,
    history: Arc<str>,
    /// The place of the last event then.
    place: Sequence,
}

/// The phones of a user, or those that wear an ACD line, with the version of their guard.
#[derive(Clone)]
struct Holder {
    version: u64,
    phones: Vec<PhoneName>,
}

/// A guard that moves without having been read, and the phones that leave it and come to it.
struct Moved {
    guard: Guard,
    gone: Vec<PhoneName>,
    come: Vec<PhoneName>,
}

/// What is known once a commit is made.
pub(crate) struct Coming {
    history: Arc<str>,
    phones: Vec<PhoneState>,
    guards: Vec<(Guard, Holder)>,
    moved: Vec<Moved>,
}

impl Coming {
    pub(crate) fn of(commit: &Commit) -> Self {
        let after = |read: &PhoneState| {
            commit.states.iter().find(|state| state.phone == read.phone).unwrap_or(read).clone()
        };
        let phones: Vec<_> = commit.read.phones().map(after).collect();
        let come = |guard: &Guard| phones_of(guard, &phones);
        let mut moved = commit.guards_moved();
        let read = commit.read.guards.iter().map(|(guard, version)| {
            let version = version + u64::from(moved.remove(guard));
            (guard.clone(), Holder { version, phones: come(guard) })
        });
        let guards = read.collect();
        let unread = moved.into_iter().map(|guard| {
            let gone = phones_of(&guard, commit.read.phones());
            Moved { gone, come: come(&guard), guard }
        });
        Self { history: Arc::clone(&commit.read.history), moved: unread.collect(), phones, guards }
    }
}

/// Those of the phones that the guard is about.
fn phones_of<'a>(guard: &Guard, phones: impl IntoIterator<Item = &'a PhoneState>) -> Vec<PhoneName> {
    let has = |state: &&PhoneState| {
        state.session.as_ref().is_some_and(|session| guards_of(session).any(|of| of == *guard))
    };
    phones.into_iter().filter(has).map(|state| state.phone.clone()).collect()
}

fn guards_of(session: &Session) -> impl Iterator<Item = Guard> {
    let line = session.acd_line.clone().map(Guard::AcdLine);
    std::iter::once(Guard::User(session.user.clone())).chain(line)
}

/// What is known from own commits.
pub(crate) struct Recalled {
    phones: Cache<PhoneName, Known<PhoneState>>,
    guards: Cache<Guard, Known<Holder>>,
}

impl Recalled {
    pub(crate) fn new() -> Self {
        Self { phones: Cache::new(PHONES), guards: Cache::new(GUARDS) }
    }

    /// Everything that it is about, as that link has committed it, if all of it is known.
    pub(crate) fn recall(&self, about: &About, link: u64) -> Option<Loaded> {
        let Known { what, history, .. } = self.phone(&about.phone, link)?;
        let phone = PhoneState::clone(&what);
        let is_of_it = |of: &Arc<str>| *of == history;
        let (mut others, mut guards) = (Vec::<PhoneState>::new(), Vec::new());
        for guard in about.guards() {
            let Known { what: holder, .. } =
                self.holder(&guard, link).filter(|known| is_of_it(&known.history))?;
            for name in holder.phones.iter().filter(|name| **name != about.phone) {
                if !others.iter().any(|other| other.phone == *name) {
                    let other = self.phone(name, link).filter(|known| is_of_it(&known.history))?;
                    others.push(PhoneState::clone(&other.what));
                }
            }
            guards.push((guard, holder.version));
        }
        others.sort_by(|one, other| one.phone.cmp(&other.phone));
        Some(Loaded { held: Held { phone, others }, guards, history })
    }

    fn phone(&self, name: &PhoneName, link: u64) -> Option<Known<PhoneState>> {
        self.phones.get(name).filter(|known| known.link == link)
    }

    fn holder(&self, guard: &Guard, link: u64) -> Option<Known<Holder>> {
        self.guards.get(guard).filter(|known| known.link == link)
    }

    /// The commit was made, by that link; `place` is the last event after it.
    pub(crate) fn committed(&self, coming: Coming, link: u64, place: Sequence) {
        let history = coming.history;
        for state in coming.phones {
            let name = state.phone.clone();
            let known = Known { what: Arc::new(state), link, history: Arc::clone(&history), place };
            self.phones.insert(name, known);
        }
        let learn = |guard, holder| {
            let known = Known { what: Arc::new(holder), link, history: Arc::clone(&history), place };
            self.guards.insert(guard, known);
        };
        for (guard, holder) in coming.guards {
            learn(guard, holder);
        }
        for Moved { guard, gone, come } in coming.moved {
            let Some(Known { what: known, place: known_at, .. }) =
                self.holder(&guard, link).filter(|known| known.history == history)
            else {
                continue;
            };
            // Commits are noted in any order. What a later one has left may have this move in it already; where what is
            // known is older, so is the version after it: versions only grow.
            if known_at > place {
                self.guards.remove(&guard);
                continue;
            }
            let stay = known.phones.iter().filter(|phone| !gone.contains(phone) && !come.contains(phone));
            let phones = stay.cloned().chain(come.iter().cloned()).collect();
            learn(guard, Holder { version: known.version + 1, phones });
        }
    }

    /// Something of what a commit was made from is old.
    pub(crate) fn refused(&self, read: &Loaded) {
        for phone in read.phones() {
            self.phones.remove(&phone.phone);
        }
        for (guard, _) in &read.guards {
            self.guards.remove(guard);
        }
    }

    /// These events were read: what they tell of has changed, unless it was this process that changed it.
    pub(crate) fn heard(&self, events: &[StoredEvent]) {
        for StoredEvent { sequence, event, .. } in events {
            self.phones.remove_if(event.phone(), |known| known.place < *sequence);
            for guard in event.session().into_iter().flat_map(guards_of) {
                self.guards.remove_if(&guard, |known| known.place < *sequence);
            }
        }
    }

    /// Nothing is known any more.
    pub(crate) fn clear(&self) {
        self.phones.clear();
        self.guards.clear();
    }
}

#[cfg(test)]
mod tests {
    use roamline_store::SessionStore;
    use roamline_store::conformance::fixture::{agent, log_in, logout, phone};
    use roamline_store::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn li_9_a_commit_that_is_noted_late_does_not_count_twice() {
        let store = Arc::new(MemoryStore::new());
        let anna = agent(1);
        let on = |number| About::phone(phone(number));
        log_in(&store, 1, &anna).await;
        let first = logout(store.load(&on(1)).await.unwrap());
        store.commit(first.clone()).await.unwrap();
        let second = anna.login(store.load(&anna.about(2)).await.unwrap());
        store.commit(second.clone()).await.unwrap();
        let third = logout(store.load(&on(2)).await.unwrap());
        store.commit(third.clone()).await.unwrap();

        let recalled = Recalled::new();
        for (commit, place) in [(&second, 7), (&third, 8), (&first, 6)] {
            recalled.committed(Coming::of(commit), 1, place);
        }
        let about = anna.about(2);
        let loaded = store.load(&about).await.unwrap();
        assert!(recalled.recall(&about, 1).is_none_or(|recalled| recalled.guards == loaded.guards));
    }
}
