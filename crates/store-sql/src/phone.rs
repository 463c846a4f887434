//! Phones and events as rows. Renderings are bytes and stand in columns of their own; the rest of a session is JSON.

use roamline_domain::ClusterId;
use roamline_domain::phone_state::{Configuration, PhoneState, Session, SessionEvent};
use roamline_store::{StoreError, StoredEvent};

use crate::column::{big, count, from_word, instant, micros, micros_due, word};
use crate::entity::{phone_state, session_event};
use crate::error::{Cause, corrupt};

pub(crate) fn to_row(cluster: &ClusterId, state: PhoneState) -> Result<phone_state::Model, Cause> {
    let due_at = state.due_at();
    let mut session = state.session;
    let logout_configuration = session.as_mut().map(take_configuration);
    Ok(phone_state::Model {
        cluster_id: cluster.to_string(),
        phone: state.phone.into(),
        epoch: big(state.epoch)?,
        generation: big(state.generation)?,
        acknowledged: big(state.acknowledged)?,
        wears: state.wears.0.into(),
        actions: serde_json::to_string(&state.actions)?,
        hook: word(&state.hook)?,
        last_user: state.last_user.map(Into::into),
        session_id: session.as_ref().map(|session| session.id.to_string()),
        session_user: session.as_ref().map(|session| session.user.to_string()),
        session_acd_line: session.as_ref().and_then(|session| Some(session.acd_line.as_ref()?.to_string())),
        session_expires_at: due_at.map(micros_due),
        session: session.as_ref().map(serde_json::to_string).transpose()?,
        logout_configuration,
    })
}

pub(crate) fn from_row(row: phone_state::Model) -> Result<PhoneState, StoreError> {
    let what = format!("phone {}", row.phone);
    read_phone(row).map_err(corrupt(what))
}

fn read_phone(row: phone_state::Model) -> Result<PhoneState, Cause> {
    let mut session: Option<Session> = row.session.as_deref().map(serde_json::from_str).transpose()?;
    if session.as_ref().map(|session| session.id.as_str()) != row.session_id.as_deref() {
        return Err("its session is not the one it is found by".into());
    }
    if let Some(session) = &mut session {
        session.logout_configuration = Configuration(row.logout_configuration.unwrap_or_default().into());
    }
    Ok(PhoneState {
        phone: row.phone.parse()?,
        epoch: count(row.epoch)?,
        generation: count(row.generation)?,
        acknowledged: count(row.acknowledged)?,
        wears: Configuration(row.wears.into()),
        actions: serde_json::from_str(&row.actions)?,
        hook: from_word(row.hook)?,
        session,
        last_user: row.last_user.map(|user| user.parse()).transpose()?,
    })
}

/// The row of an event; its place is given when it is committed.
pub(crate) fn event_to_row(
    cluster: &ClusterId,
    mut event: SessionEvent,
    at: jiff::Timestamp,
) -> Result<session_event::Model, Cause> {
    let logout_configuration = session_of(&mut event).map(take_configuration);
    Ok(session_event::Model {
        cluster_id: cluster.to_string(),
        sequence: 0,
        at: micros(at),
        body: serde_json::to_string(&event)?,
        logout_configuration,
    })
}

pub(crate) fn event_from_row(row: session_event::Model) -> Result<StoredEvent, StoreError> {
    let what = format!("event {}", row.sequence);
    let read = || -> Result<StoredEvent, Cause> {
        let mut event: SessionEvent = serde_json::from_str(&row.body)?;
        if let Some(session) = session_of(&mut event) {
            session.logout_configuration = Configuration(row.logout_configuration.unwrap_or_default().into());
        }
        Ok(StoredEvent { sequence: count(row.sequence)?, at: instant(row.at)?, event })
    };
    read().map_err(corrupt(what))
}

fn session_of(event: &mut SessionEvent) -> Option<&mut Session> {
    match event {
        SessionEvent::LoggedIn(session) | SessionEvent::LogoutPending(session) => Some(session),
        SessionEvent::Refreshed(refreshed) => Some(&mut refreshed.session),
        SessionEvent::LoggedOut(ended) => Some(&mut ended.session),
        SessionEvent::Redressed(_) | SessionEvent::Refused(_) => None,
    }
}

fn take_configuration(session: &mut Session) -> Vec<u8> {
    std::mem::take(&mut session.logout_configuration).0.into()
}
