//! What agents do, as their desktops report it (CC-9): noted in each session of the agent, for the guard of logouts.

use roamline_domain::phone_state::{AgentState, PhoneState};
use roamline_domain::{PrincipalName, UserId};
use roamline_proto::refusal::Refusal;
use roamline_store::About;

use crate::decide::Decided;
use crate::reach::Bound;
use crate::{Core, refusal};

/// Sessions of a user read at once.
const PAGE: u32 = 100;

impl Core {
    /// Notes what an agent does in all his sessions, or in those in the reach of an application (EV-4); returns the phones
    /// that hold them. Nobody else is told.
    ///
    /// # Errors
    /// He has no such session.
    pub(crate) async fn report_agent_state(
        &self,
        user: &UserId,
        agent_state: AgentState,
        application: Option<PrincipalName>,
    ) -> Result<Vec<PhoneState>, Refusal> {
        let now = self.clock.now();
        let bound = application.map(Bound::Associated);
        let mut held = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.list(Some(user), after.as_ref(), PAGE).await;
            let page = page.map_err(|error| refusal::store(&error))?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|state| state.phone.clone());
            let sessions = page.iter().filter_map(|state| state.session.as_ref()).collect();
            let reached = self.reached(bound.as_ref(), sessions).await?;
            for listed in page {
                let about = About::phone(listed.phone);
                let noted = self.decide(&about, now, |loaded| {
                    let phone = &loaded.held.phone;
                    if !phone.session.as_ref().is_some_and(|live| live.user == *user && reached.takes(live)) {
                        return Ok(Decided::default());
                    }
                    let changed = phone.with_agent_state(user, agent_state);
                    let state = changed.as_ref().unwrap_or(phone).clone();
                    let states = changed.into_iter().collect();
                    Ok(Decided { states, outcome: Some(state), ..Decided::default() })
                });
                held.extend(noted.await?);
            }
            if is_last {
                break;
            }
        }
        if held.is_empty() { Err(refusal::user_has_no_session(user)) } else { Ok(held) }
    }
}
