//! How far a caller reaches who may neither read nor end everybody's sessions: to his own, as a supervisor to those of
//! his teams, as an application to those in which a profile is worn that it is associated with (EV-4).

use std::collections::HashSet;

use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, PrincipalName, ProfileName, UserId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};

use crate::{Core, refusal};

/// By what a caller reaches sessions of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The teams that this supervisor looks after, and he himself.
    Teams(UserId),
    /// The profiles that this application is associated with.
    Associated(PrincipalName),
}

/// Whose sessions a request is about, within what its caller reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Within {
    /// One user's; `None` for everybody's.
    pub user: Option<UserId>,
    /// Of those, such as this lets the caller reach; `None` for all.
    pub bound: Option<Bound>,
}

/// Of some sessions those that are within a bound.
pub(crate) enum Reached {
    /// There is no bound.
    All,
    /// Those of these users.
    Users(HashSet<UserId>),
    /// Those with these profiles.
    Profiles(HashSet<ProfileName>),
}

impl Reached {
    pub(crate) fn takes(&self, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::Users(users) => users.contains(&session.user),
            Self::Profiles(profiles) => profiles.contains(&session.profile),
        }
    }
}

/// The user that the caller is, if he is one.
pub(crate) fn himself(caller: &Caller) -> Option<UserId> {
    caller.name.parse().ok().filter(|_| caller.kind == PrincipalKind::User)
}

/// The application that the caller is, if it is one that reaches what it is associated with. The scope helps nobody
/// else.
pub(crate) fn application(caller: &Caller) -> Option<PrincipalName> {
    let is_one = caller.kind == PrincipalKind::Application && caller.has(scope::SESSION_ASSOCIATED);
    caller.name.parse().ok().filter(|_| is_one)
}

fn bound(caller: &Caller) -> Option<Bound> {
    let supervisor = himself(caller).filter(|_| caller.has(scope::SESSION_TEAM)).map(Bound::Teams);
    supervisor.or_else(|| application(caller).map(Bound::Associated))
}

impl Core {
    /// What the caller reaches of the sessions that are asked for: of one user, or of anybody. With the scope `wide`
    /// that is all of them, as a supervisor those of his teams and his own, as an application those with profiles that
    /// it is associated with, else his own.
    ///
    /// # Errors
    /// The user who is asked for is out of his reach, or the directory cannot say.
    pub(crate) async fn within(
        &self,
        asked: Option<UserId>,
        caller: &Caller,
        wide: &str,
    ) -> Result<Within, Refusal> {
        if caller.has(wide) {
            return Ok(Within { user: asked, bound: None });
        }
        let bound = bound(caller);
        if let Some(Bound::Associated(_)) = &bound {
            return Ok(Within { user: asked, bound });
        }
        let Some(himself) = himself(caller) else { return Err(refusal::scope_missing(wide)) };
        match (asked, bound) {
            (Some(asked), _) if asked == himself => Ok(Within { user: Some(himself), bound: None }),
            (Some(asked), Some(bound)) => {
                let led = self.led_by(&himself, vec![&asked]).await?;
                match led.contains(&asked) {
                    true => Ok(Within { user: Some(asked), bound: Some(bound) }),
                    false => Err(refusal::scope_missing(wide)),
                }
            }
            (Some(_), None) => Err(refusal::scope_missing(wide)),
            (None, Some(bound)) => Ok(Within { user: None, bound: Some(bound) }),
            (None, None) => Ok(Within { user: Some(himself), bound: None }),
        }
    }

    /// Those of the sessions that are within a bound, as the directory had it at most 2 s ago.
    pub(crate) async fn reached(
        &self,
        bound: Option<&Bound>,
        sessions: Vec<&Session>,
    ) -> Result<Reached, Refusal> {
        match bound {
            None => Ok(Reached::All),
            Some(Bound::Teams(supervisor)) => {
                let users = sessions.into_iter().map(|session| &session.user).collect();
                Ok(Reached::Users(self.led_by(supervisor, users).await?))
            }
            Some(Bound::Associated(application)) => {
                let profiles = sessions.into_iter().map(|session| &session.profile).collect();
                Ok(Reached::Profiles(self.associated_with(application, profiles).await?))
            }
        }
    }

    /// Whether the caller may see the session.
    pub(crate) async fn sees(&self, caller: &Caller, session: &Session) -> Result<bool, Refusal> {
        if caller.has(scope::SESSION_READ) || himself(caller).as_ref() == Some(&session.user) {
            return Ok(true);
        }
        self.lends(caller, session).await
    }

    /// Whether a bound lets the caller reach the session.
    async fn lends(&self, caller: &Caller, session: &Session) -> Result<bool, Refusal> {
        match bound(caller) {
            Some(bound) => Ok(self.reached(Some(&bound), vec![session]).await?.takes(session)),
            None => Ok(false),
        }
    }

    /// Whether the caller is an application that may control the session's phone, since a profile is worn there that it is
    /// associated with (EV-4).
    pub(crate) async fn controls(&self, caller: &Caller, session: &Session) -> Result<bool, Refusal> {
        match application(caller) {
            Some(_) => self.lends(caller, session).await,
            None => Ok(false),
        }
    }

    /// What the caller may end on the phone without the right to end everybody's sessions: as the supervisor of whoever is
    /// there, or as an application that is associated with his profile. `None` where he has all rights, or no such.
    pub(crate) async fn lent_at(
        &self,
        phone: &PhoneName,
        caller: &Caller,
    ) -> Result<Option<Reached>, Refusal> {
        if caller.has(scope::SESSION_MANAGE) || caller.has(scope::SESSION_END) {
            return Ok(None);
        }
        let Some(bound) = bound(caller) else { return Ok(None) };
        let state = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        match state.and_then(|state| state.session) {
            Some(session) if himself(caller).as_ref() != Some(&session.user) => {
                self.reached(Some(&bound), vec![&session]).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(kind: PrincipalKind, scopes: &[&str]) -> Caller {
        Caller {
            name: "recorder".into(),
            kind,
            scopes: std::sync::Arc::new(scopes.iter().map(|scope| (*scope).into()).collect()),
            ..Caller::anonymous(None)
        }
    }

    #[test]
    fn ev_4_the_scope_of_associated_applications_helps_nobody_else() {
        let scopes = [scope::SESSION_ASSOCIATED];
        let named = Some(Bound::Associated("recorder".parse().unwrap()));
        assert_eq!(bound(&caller(PrincipalKind::Application, &scopes)), named);
        assert_eq!(bound(&caller(PrincipalKind::Application, &[])), None);
        for kind in [PrincipalKind::User, PrincipalKind::Administrator, PrincipalKind::PhoneLink] {
            assert_eq!(bound(&caller(kind, &scopes)), None, "{kind:?}");
        }
        assert_eq!(bound(&caller(PrincipalKind::Application, &[scope::SESSION_TEAM])), None);
    }
}
