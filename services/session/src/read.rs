//! Reading live sessions: one, or a page of them.

use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::phone_state::{PhoneState, Session};
use roamline_domain::{LineName, PhoneName, ProfileName};
use roamline_proto::refusal::Refusal;
use roamline_token::Caller;

use crate::logout::Target;
use crate::reach::Within;
use crate::whereabouts::Filter;
use crate::{Core, convert, refusal};

/// Phones read at once.
const AT_ONCE: usize = 32;
/// Sessions looked through at once for those that the caller reaches.
const BOUND_PAGE: usize = 1000;

impl Core {
    /// The phone that holds the session. What is not the caller's own, and not his to read, is not there for him.
    pub(crate) async fn get(&self, target: &Target, caller: &Caller) -> Result<PhoneState, Refusal> {
        let found = match target {
            Target::Phone(phone) => self.store.phone(phone).await,
            Target::Session(id) => self.store.session(id).await,
        }
        .map_err(|error| refusal::store(&error))?;
        let seen = match found.as_ref().and_then(|state| state.session.as_ref()) {
            Some(session) => self.sees(caller, session).await?,
            None => false,
        };
        found.filter(|_| seen).ok_or_else(|| match target {
            Target::Phone(phone) => {
                refusal::not_logged_in(&roamline_domain::logout::NotLoggedIn { phone: phone.clone() })
            }
            Target::Session(id) => refusal::session_not_found(id.as_str()),
        })
    }

    /// A page of phones with sessions, in the order of their names: those within what was asked for, and of them only
    /// such as wear the profile if one is given.
    pub(crate) async fn list(
        &self,
        within: &Within,
        profile: Option<&ProfileName>,
        after: Option<PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, Refusal> {
        let Within { user, bound } = within;
        if profile.is_none() && bound.is_none() {
            let page = self.store.list(user.as_ref(), after.as_ref(), limit).await;
            return page.map_err(|error| refusal::store(&error));
        }
        let filter = Filter { user: user.clone(), profile: profile.cloned(), phone: None };
        let worn = self.events.matching(&filter).await?.sessions.into_iter();
        let mut rest = worn.filter(|session| after.as_ref().is_none_or(|after| session.phone > *after));
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        while found.len() < most {
            // Those that ended meanwhile make room for the next ones.
            let size = if bound.is_some() { BOUND_PAGE } else { most - found.len() };
            let mut page: Vec<_> = rest.by_ref().take(size).collect();
            if page.is_empty() {
                break;
            }
            let reached = self.reached(bound.as_ref(), page.iter().map(AsRef::as_ref).collect()).await?;
            page.retain(|session| reached.takes(session));
            let states = iter(page).map(|session| async move { self.store.phone(&session.phone).await });
            let states: Result<Vec<_>, _> = states.buffered(AT_ONCE).try_collect().await;
            let states = states.map_err(|error| refusal::store(&error))?;
            let wears = |live: &Session| filter.takes(live) && reached.takes(live);
            found.extend(
                states.into_iter().flatten().filter(|state| state.session.as_ref().is_some_and(wears)),
            );
        }
        found.truncate(most);
        Ok(found)
    }

    /// The sessions that wear a line, in the order of their phones; none where it rings in voice mail (LO-10). A visitor's
    /// lines are his home's: one of the same name here is another number.
    pub(crate) async fn locate(&self, line: &LineName) -> Result<Vec<Arc<Session>>, Refusal> {
        let worn = iter(self.events.wearing(line)?).map(|session| async move {
            let is_ours = self.wears_ours(&session).await?;
            Ok::<_, Refusal>(is_ours.then_some(session))
        });
        let worn: Vec<_> = worn.buffered(AT_ONCE).try_collect().await?;
        let sessions: Vec<_> = worn.into_iter().flatten().collect();
        if sessions.is_empty() {
            self.peers.line_exists(line).await?;
        }
        Ok(sessions)
    }

    /// Whether what the session's phone wears was rendered here, and not by a visitor's home. A base device stands for a
    /// phone elsewhere, and its user is one of ours.
    async fn wears_ours(&self, session: &Session) -> Result<bool, Refusal> {
        if BaseDevice::of_phone(&session.phone).is_some() {
            return Ok(true);
        }
        let state = self.store.phone(&session.phone).await.map_err(|error| refusal::store(&error))?;
        let live = state.filter(|state| state.session.as_ref().is_some_and(|live| live.id == session.id));
        match live {
            Some(state) => Ok(convert::configuration(&state.wears)?.cross_cluster.is_none()),
            // It has ended meanwhile.
            None => Ok(false),
        }
    }
}
