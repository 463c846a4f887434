//! Reading live sessions: one, or a page of them.

use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};
use roamline_domain::phone_state::{PhoneState, Session};
use roamline_domain::{LineName, PhoneName, ProfileName, UserId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};

use crate::logout::Target;
use crate::whereabouts::Filter;
use crate::{Core, refusal};

/// Phones read at once.
const AT_ONCE: usize = 32;

impl Core {
    /// The phone that holds the session. What is not the caller's own, and not his to read, is not there for him.
    pub(crate) async fn get(&self, target: &Target, caller: &Caller) -> Result<PhoneState, Refusal> {
        let found = match target {
            Target::Phone(phone) => self.store.phone(phone).await,
            Target::Session(id) => self.store.session(id).await,
        }
        .map_err(|error| refusal::store(&error))?;
        let whose = whose(caller);
        found
            .filter(|state| match (&state.session, &whose) {
                (None, _) => false,
                (Some(_), Whose::Everybodys) => true,
                (Some(session), Whose::Only(name)) => session.user.as_str() == name.as_str(),
            })
            .ok_or_else(|| match target {
                Target::Phone(phone) => {
                    refusal::not_logged_in(&roamline_domain::logout::NotLoggedIn { phone: phone.clone() })
                }
                Target::Session(id) => refusal::session_not_found(id.as_str()),
            })
    }

    /// A page of phones with sessions, in the order of their names: one user's if given, and of those only such as
    /// wear the profile if one is given.
    pub(crate) async fn list(
        &self,
        user: Option<&UserId>,
        profile: Option<&ProfileName>,
        after: Option<PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, Refusal> {
        let Some(profile) = profile else {
            let page = self.store.list(user, after.as_ref(), limit).await;
            return page.map_err(|error| refusal::store(&error));
        };
        let filter = Filter { user: user.cloned(), profile: Some(profile.clone()), phone: None };
        let worn = self.events.matching(&filter).await?.sessions.into_iter();
        let mut rest = worn.filter(|session| after.as_ref().is_none_or(|after| session.phone > *after));
        let wears = |state: &PhoneState| state.session.as_ref().is_some_and(|live| filter.takes(live));
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        loop {
            // Those that ended meanwhile make room for the next ones.
            let page: Vec<_> = rest.by_ref().take(most - found.len()).collect();
            if page.is_empty() {
                return Ok(found);
            }
            let states = iter(page).map(|session| async move { self.store.phone(&session.phone).await });
            let states: Result<Vec<_>, _> = states.buffered(AT_ONCE).try_collect().await;
            let states = states.map_err(|error| refusal::store(&error))?;
            found.extend(states.into_iter().flatten().filter(wears));
        }
    }

    /// The sessions that wear a line, in the order of their phones; none where it rings in voice mail (LO-10).
    pub(crate) async fn locate(&self, line: &LineName) -> Result<Vec<Arc<Session>>, Refusal> {
        let sessions = self.events.wearing(line)?;
        if sessions.is_empty() {
            self.peers.line_exists(line).await?;
        }
        Ok(sessions)
    }
}

/// Whose sessions a caller may see.
pub(crate) enum Whose {
    Everybodys,
    Only(String),
}

/// Everybody's with the scope session.read, else his own.
pub(crate) fn whose(caller: &Caller) -> Whose {
    if caller.has(scope::SESSION_READ) { Whose::Everybodys } else { Whose::Only(caller.name.clone()) }
}

/// The user whose sessions are asked for, narrowed to what the caller may see: `None` for everybody's.
pub(crate) fn visible_user(asked: Option<UserId>, caller: &Caller) -> Result<Option<UserId>, Refusal> {
    match (whose(caller), asked) {
        (Whose::Everybodys, asked) => Ok(asked),
        (Whose::Only(name), asked) => {
            let himself = name.parse::<UserId>().ok().filter(|_| caller.kind == PrincipalKind::User);
            match (himself, asked) {
                (Some(himself), None) => Ok(Some(himself)),
                (Some(himself), Some(asked)) if himself == asked => Ok(Some(himself)),
                _ => Err(refusal::scope_missing(scope::SESSION_READ)),
            }
        }
    }
}
