//! Bringing a live session up to date with its profile (DP-10).

use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::login::Rendering;
use roamline_domain::phone_state::{Actor, PhoneState, Session};
use roamline_domain::refresh::{Refresh, RefreshRefused, decide_refresh};
use roamline_domain::{PhoneName, SessionId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use roamline_token::scope;

use crate::asker::Asker;
use crate::decide::Decided;
use crate::logout::Target;
use crate::peers::Prepared;
use crate::roam::visiting_rendering;
use crate::{Core, refusal};

/// How often the directory is asked anew when the phone changes meanwhile.
const ROUNDS: usize = 16;

/// The phone, and whether it wore something else before.
type Done = (PhoneState, bool);

impl Core {
    /// Renders the session anew and dresses its phone, if that changes anything; returns the phone, and whether it wore
    /// something else before. Of refreshes at the same time the newest rendering stays.
    pub(crate) async fn refresh(&self, target: &Target, asker: &Asker) -> Result<Done, Refusal> {
        let phone = self.phone_of(target).await?;
        if BaseDevice::of_phone(&phone).is_some() {
            return self.refresh_there(&phone, target, asker).await;
        }
        for _ in 0..ROUNDS {
            if let Some(done) = self.refresh_unless_overtaken(&phone, target, asker).await? {
                return Ok(done);
            }
        }
        Err(refusal::overtaken())
    }

    /// `None` when the phone has changed since the directory was asked: another refresh may have asked after this one,
    /// and have put on what is newer.
    async fn refresh_unless_overtaken(
        &self,
        phone: &PhoneName,
        target: &Target,
        asker: &Asker,
    ) -> Result<Option<Done>, Refusal> {
        let (epoch, session) = self.refreshable(phone, target, asker).await?;
        let facts = self.peers.prepare_login(phone, session.user.as_str(), Some(&session.profile)).await?;
        let prepared = match facts.prepared {
            Err(unknown) if unknown.reason == ErrorReason::UserNotFound => {
                self.render_visit(&session).await?.ok_or(unknown)?
            }
            prepared => prepared?,
        };
        if let Some(refused) = prepared.contact_centre {
            return Err(refused);
        }
        let (rendering, actor) = (prepared.rendering, asker.actor());
        self.refresh_with(phone, Refresh { session: session.id, epoch, rendering, actor }).await
    }

    /// The session that is to be refreshed, and the phone's epoch, if the caller may.
    async fn refreshable(
        &self,
        phone: &PhoneName,
        target: &Target,
        asker: &Asker,
    ) -> Result<(u64, Session), Refusal> {
        let before = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        let epoch = before.as_ref().map_or(0, |state| state.epoch);
        let live = before.and_then(|state| state.session).filter(|session| target.is(session));
        let session = live.ok_or_else(|| refusal::no_session(target))?;
        let may = asker.owns(&session) || asker.caller.has(scope::SESSION_MANAGE);
        if !may && !self.controls(&asker.caller, &session).await? {
            return Err(refusal::scope_missing(scope::SESSION_MANAGE));
        }
        Ok((epoch, session))
    }

    /// What the home of a user of another cluster makes of it: the phone wears what is its own after the logout.
    async fn render_visit(&self, session: &Session) -> Result<Option<Box<Prepared>>, Refusal> {
        let rendered = self.peers.render_visit(&session.id).await?;
        Ok(rendered.map(|mut prepared| {
            let logout = session.logout_configuration.clone();
            prepared.rendering = visiting_rendering(prepared.rendering, logout);
            prepared
        }))
    }

    /// The phone of a session on a base device is elsewhere: its cluster asks for what it shall wear, and puts it on.
    async fn refresh_there(
        &self,
        phone: &PhoneName,
        target: &Target,
        asker: &Asker,
    ) -> Result<Done, Refusal> {
        let (_, session) = self.refreshable(phone, target, asker).await?;
        let changed = self.peers.refresh_there(&session.id).await?;
        let state = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        let live = state.filter(|state| state.session.as_ref().is_some_and(|live| live.id == session.id));
        live.map(|state| (state, changed)).ok_or_else(|| refusal::no_session(target))
    }

    /// Dresses the home half of a session as its directory has it now.
    pub(crate) async fn refresh_home_half(
        &self,
        session: SessionId,
        mut rendering: Rendering,
        actor: Actor,
    ) -> Result<bool, Refusal> {
        // Whether he is idle shows at the phone, which is elsewhere.
        rendering.idle_limit = None;
        for _ in 0..ROUNDS {
            let state = self.store.session(&session).await.map_err(|error| refusal::store(&error))?;
            let state = state.ok_or_else(|| refusal::session_not_found(session.as_str()))?;
            let (rendering, actor) = (rendering.clone(), actor.clone());
            let refresh = Refresh { session: session.clone(), epoch: state.epoch, rendering, actor };
            if let Some((_, changed)) = self.refresh_with(&state.phone, refresh).await? {
                return Ok(changed);
            }
        }
        Err(refusal::overtaken())
    }

    /// Dresses the phone of a visiting half as its user's home renders it now.
    pub(crate) async fn refresh_visiting_half(
        &self,
        session: SessionId,
        actor: Actor,
    ) -> Result<bool, Refusal> {
        let gone = || refusal::session_not_found(session.as_str());
        for _ in 0..ROUNDS {
            let state = self.store.session(&session).await.map_err(|error| refusal::store(&error))?;
            let state = state.ok_or_else(gone)?;
            let live = state.session.as_ref().ok_or_else(gone)?;
            let prepared = self.render_visit(live).await?.ok_or_else(gone)?;
            let (rendering, actor) = (prepared.rendering, actor.clone());
            let refresh = Refresh { session: session.clone(), epoch: state.epoch, rendering, actor };
            if let Some((_, changed)) = self.refresh_with(&state.phone, refresh).await? {
                return Ok(changed);
            }
        }
        Err(refusal::overtaken())
    }

    async fn refresh_with(&self, phone: &PhoneName, refresh: Refresh) -> Result<Option<Done>, Refusal> {
        let about = About { phone: phone.clone(), user: None, acd_line: refresh.rendering.acd_line.clone() };
        self.decide(&about, self.clock.now(), |loaded| match decide_refresh(&loaded.held, &refresh) {
            Ok(None) => {
                let outcome = Some((loaded.held.phone.clone(), false));
                Ok(Decided { outcome, ..Decided::default() })
            }
            Ok(Some(done)) => Ok(Decided {
                states: vec![done.state.clone()],
                events: vec![done.event],
                reply: None,
                outcome: Some((done.state, done.redressed)),
            }),
            Err(RefreshRefused::Overtaken { .. }) => Ok(Decided::default()),
            Err(refused) => Err(refusal::refresh(&refused)),
        })
        .await
    }
}
