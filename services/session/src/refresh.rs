//! Bringing a live session up to date with its profile (DP-10).

use roamline_domain::phone_state::PhoneState;
use roamline_domain::refresh::{Refresh, decide_refresh};
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use roamline_token::scope;

use crate::asker::Asker;
use crate::decide::Decided;
use crate::logout::Target;
use crate::{Core, refusal};

impl Core {
    /// Renders the session anew and dresses its phone, if that changes anything; returns the phone, and whether it wore
    /// something else before.
    pub(crate) async fn refresh(
        &self,
        target: &Target,
        asker: &Asker,
    ) -> Result<(PhoneState, bool), Refusal> {
        let phone = self.phone_of(target).await?;
        let found = self.store.phone(&phone).await.map_err(|error| refusal::store(&error))?;
        let live = found.and_then(|state| state.session).filter(|session| target.is(session));
        let session = live.ok_or_else(|| refusal::no_session(target))?;
        if !asker.owns(&session) && !asker.caller.has(scope::SESSION_MANAGE) {
            return Err(refusal::scope_missing(scope::SESSION_MANAGE));
        }
        let facts = self.peers.prepare_login(&phone, session.user.as_str(), Some(&session.profile)).await?;
        let prepared = *facts.prepared?;
        if let Some(refused) = prepared.contact_centre {
            return Err(refused);
        }
        let refresh = Refresh { session: session.id, rendering: prepared.rendering };
        let about = About { phone, user: None, acd_line: refresh.rendering.acd_line.clone() };
        self.decide(&about, self.clock.now(), |loaded| {
            let refreshed =
                decide_refresh(&loaded.held, &refresh).map_err(|refused| refusal::refresh(&refused))?;
            Ok(match refreshed {
                None => Decided {
                    states: Vec::new(),
                    events: Vec::new(),
                    reply: None,
                    outcome: (loaded.held.phone.clone(), false),
                },
                Some(done) => Decided {
                    states: vec![done.state.clone()],
                    events: vec![done.event],
                    reply: None,
                    outcome: (done.state, done.redressed),
                },
            })
        })
        .await
    }
}
