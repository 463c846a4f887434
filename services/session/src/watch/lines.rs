//! The numbers on the phone that is watched, for an attendant console there (EV-4): as they are when they are told, so
//! that of changes in quick succession the last is enough.

use std::collections::BTreeSet;

use roamline_domain::phone_state::SessionEvent;
use roamline_domain::{LineName, PhoneName};
use roamline_proto::refusal::Refusal;
use roamline_token::scope;

use super::{Message, Told, Watch};
use crate::{convert, refusal};

/// The numbers on a phone, as far as the watcher may know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhoneLines {
    pub phone: PhoneName,
    /// In the order of the buttons, each once; none where he may not know them.
    pub lines: Vec<LineName>,
    /// Which state of the phone has them; 0 where he may not know them.
    pub generation: u64,
    /// Whether the phone has said that it wears that state.
    pub worn: bool,
}

impl Watch {
    /// Whether the numbers on the watched phone may be others after an event.
    pub(super) fn may_change_lines(&self, event: &SessionEvent) -> bool {
        let is_change = !matches!(event, SessionEvent::Refused(_) | SessionEvent::LogoutPending(_));
        is_change && self.asked.lines_for.is_some() && self.asked.filter.phone.as_ref() == Some(event.phone())
    }

    /// Makes the numbers on the phone ready, if they are others than those that were told last.
    pub(super) async fn read_lines(&mut self) -> Result<(), Refusal> {
        self.lines_due = false;
        let Some(now) = self.phone_lines().await? else { return Ok(()) };
        if self.lines.as_ref().is_none_or(|told| told.lines != now.lines) {
            self.lines = Some(now.clone());
            self.ready.push_back(Told { message: Message::PhoneLines(now), resume: Some(self.place) });
        }
        Ok(())
    }

    async fn phone_lines(&self) -> Result<Option<PhoneLines>, Refusal> {
        let (Some(watcher), Some(phone)) = (&self.asked.lines_for, &self.asked.filter.phone) else {
            return Ok(None);
        };
        let none = PhoneLines { phone: phone.clone(), lines: Vec::new(), generation: 0, worn: false };
        let state = self.core.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        let Some(state) = state else { return Ok(Some(none)) };
        let knows = match &state.session {
            _ if watcher.has(scope::SESSION_READ) => true,
            Some(session) => self.core.sees(watcher, session).await?,
            None => false,
        };
        if !knows {
            return Ok(Some(none));
        }
        let mut lines = convert::worn_lines(&convert::configuration(&state.wears)?);
        let mut seen = BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        let worn = state.acknowledged >= state.generation;
        Ok(Some(PhoneLines { lines, generation: state.generation, worn, ..none }))
    }
}
