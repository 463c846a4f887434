//! Sessions that come within the caller's reach while he watches, and those that leave it, as teams and associations
//! change (EV-4): looked for as often as a heartbeat is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use roamline_domain::phone_state::{Session, SessionEvent};
use roamline_domain::{PhoneName, SessionId};
use roamline_proto::refusal::Refusal;
use tokio::time::Instant;

use super::{Message, Told, Watch, as_it_is};

/// When it is tried again to look at the sessions as of the last event.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a caller with a bound knows of.
pub(super) struct Known {
    /// Sessions that he was told of, and where they are.
    told: HashMap<SessionId, PhoneName>,
    review_at: Instant,
}

impl Known {
    /// Nothing yet; when there is no snapshot before it, the first review is at once.
    pub(super) fn nothing(review_at: Instant) -> Self {
        Self { told: HashMap::new(), review_at }
    }

    pub(super) fn is_told(&mut self, session: &Session) {
        self.told.insert(session.id.clone(), session.phone.clone());
    }

    /// Takes notice of an event, and of whether it is told.
    pub(super) fn heard(&mut self, event: &SessionEvent, is_told: bool) {
        match event {
            SessionEvent::LoggedIn(session) if is_told => self.is_told(session),
            SessionEvent::LoggedOut(ended) => drop(self.told.remove(&ended.session.id)),
            _ => {}
        }
    }
}

impl Watch {
    /// When sessions are looked at next; `None` where the caller reaches the same ones always.
    pub(super) fn review_at(&self) -> Option<Instant> {
        self.known.as_ref().map(|known| known.review_at)
    }

    /// Tells which sessions are within reach now and were not told of, and which were and are not. What the directory does
    /// not say now is looked at next time.
    pub(super) async fn review(&mut self) -> Result<(), Refusal> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let Some(live) = self.core.events.matching_at(&self.asked.filter, self.log, &self.place) else {
            // Events come first, or the store does not answer.
            known.review_at = Instant::now() + AGAIN_AFTER;
            return Ok(());
        };
        known.review_at = Instant::now() + self.core.config.heartbeat();
        let sessions = live.iter().map(AsRef::as_ref).collect();
        let Ok(reached) = self.core.reached(self.asked.bound.as_ref(), sessions).await else {
            return Ok(());
        };

        let mut before = std::mem::take(&mut known.told);
        let mut come = Vec::new();
        for session in live.into_iter().filter(|session| reached.takes(session)) {
            if before.remove(&session.id).is_none() {
                come.push(Arc::clone(&session));
            }
            known.is_told(&session);
        }
        let resume = Some(self.place);
        for (session, phone) in before {
            self.ready.push_back(Told { message: Message::OutOfReach(session, phone), resume });
        }
        let mut now = self.each(&come).await?;
        for was in come {
            let (session, applied) = as_it_is(&was, now.remove(&was.phone));
            self.ready.push_back(Told { message: Message::InReach(session, applied), resume });
        }
        Ok(())
    }
}
