//! Bringing a live session up to date with its profile (DP-10).

use roamline_domain::PhoneName;
use roamline_domain::phone_state::PhoneState;
use roamline_domain::refresh::{Refresh, RefreshRefused, decide_refresh};
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use roamline_token::scope;

use crate::asker::Asker;
use crate::decide::Decided;
use crate::logout::Target;
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
        let before = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        let epoch = before.as_ref().map_or(0, |state| state.epoch);
        let live = before.and_then(|state| state.session).filter(|session| target.is(session));
        let session = live.ok_or_else(|| refusal::no_session(target))?;
        let may = asker.owns(&session) || asker.caller.has(scope::SESSION_MANAGE);
        if !may && !self.controls(&asker.caller, &session).await? {
            return Err(refusal::scope_missing(scope::SESSION_MANAGE));
        }
        let facts = self.peers.prepare_login(phone, session.user.as_str(), Some(&session.profile)).await?;
        let prepared = *facts.prepared?;
        if let Some(refused) = prepared.contact_centre {
            return Err(refused);
        }
        let (rendering, actor) = (prepared.rendering, asker.actor());
        let refresh = Refresh { session: session.id, epoch, rendering, actor };
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
