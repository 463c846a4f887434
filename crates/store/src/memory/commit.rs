//! What a commit says about itself, without a look at the store: every backend asks it the same.

use std::collections::BTreeSet;

use roamline_domain::PhoneName;
use roamline_domain::phone_state::{PhoneState, Session};

use crate::{Commit, Guard, Loaded};

impl Loaded {
    /// The phones that were read.
    pub fn phones(&self) -> impl Iterator<Item = &PhoneState> {
        std::iter::once(&self.held.phone).chain(&self.held.others)
    }

    fn phone(&self, name: &PhoneName) -> Option<&PhoneState> {
        self.phones().find(|read| read.phone == *name)
    }
}

impl Commit {
    /// Whether every new state is of a phone that was read, no phone twice, and one epoch on from it. A commit that
    /// is not so was not made from what it claims, and is refused as moved.
    pub fn follows_what_it_read(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.states.iter().all(|state| {
            let read = self.read.phone(&state.phone);
            seen.insert(&state.phone)
                && read.is_some_and(|read| read.epoch.checked_add(1) == Some(state.epoch))
        })
    }

    /// The guards of every user and ACD line whose sessions begin or end by it, or go on with another ACD line. Holds as long as the phones that
    /// were read have not moved.
    pub fn guards_moved(&self) -> BTreeSet<Guard> {
        let mut moved = BTreeSet::new();
        for state in &self.states {
            let before = self.read.phone(&state.phone).and_then(|read| read.session.as_ref());
            let after = state.session.as_ref();
            let holds = |session: &Session| (session.id.clone(), session.acd_line.clone());
            if before.map(holds) != after.map(holds) {
                moved.extend(before.into_iter().chain(after).flat_map(guards));
            }
        }
        moved
    }
}

/// The guards of a session.
pub(super) fn guards(session: &Session) -> impl Iterator<Item = Guard> {
    let line = session.acd_line.clone().map(Guard::AcdLine);
    std::iter::once(Guard::User(session.user.clone())).chain(line)
}
