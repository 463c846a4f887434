//! Reading live sessions: one, or a page of them.

use roamline_domain::phone_state::PhoneState;
use roamline_domain::{PhoneName, ProfileName, UserId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};

use crate::logout::Target;
use crate::{Core, refusal};

/// Phones read at once where a filter leaves some of them out.
const READ_AT_ONCE: u32 = 1000;

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
        mut after: Option<PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, Refusal> {
        let read = if profile.is_some() { READ_AT_ONCE } else { limit };
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        loop {
            let page = self.store.list(user, after.as_ref(), read).await;
            let page = page.map_err(|error| refusal::store(&error))?;
            let is_last = page.len() < read as usize;
            after = page.last().map(|state| state.phone.clone());
            found
                .extend(page.into_iter().filter(|state| profile.is_none_or(|profile| wears(state, profile))));
            if is_last || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
    }
}

fn wears(state: &PhoneState, profile: &ProfileName) -> bool {
    state.session.as_ref().is_some_and(|session| session.profile == *profile)
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
