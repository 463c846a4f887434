//! Reading live sessions: one, or a page of them.

use roamline_domain::phone_state::PhoneState;
use roamline_domain::{PhoneName, UserId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};

use crate::logout::Target;
use crate::{Core, refusal};

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

    /// A page of phones with sessions, in the order of their names.
    pub(crate) async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, Refusal> {
        self.store.list(user, after, limit).await.map_err(|error| refusal::store(&error))
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
