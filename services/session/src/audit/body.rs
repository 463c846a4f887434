//! A record as JSON: what is hashed. It says everything by itself, so that whoever has the records needs nothing else.

use jiff::{SignedDuration, Timestamp};
use roamline_domain::audit::{AuditKind, EventMark};
use roamline_domain::phone_state::{Actor, AgentState, Asked, EndedSession, Refused, Session, SessionEvent};
use roamline_store::StoredEvent;
use serde::{Deserialize, Serialize};

use crate::convert::reason_word;

/// Grows when a field changes its meaning.
const VERSION: u32 = 1;
/// Of names that anybody may have sent, that many characters are kept.
const NAME: usize = 200;

/// The record. Fields without a value are left out.
#[derive(Serialize)]
pub(super) struct Body {
    pub version: u32,
    pub number: u64,
    pub time: String,
    pub kind: AuditKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Mark>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub profile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadlines: Option<Deadlines>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_state: Option<AgentState>,
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuild>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
}

/// An event of the log.
#[derive(Serialize)]
pub(super) struct Mark {
    pub place: u64,
    pub fingerprint: String,
}

impl Mark {
    pub(super) fn of(mark: &EventMark) -> Self {
        Self { place: mark.sequence, fingerprint: hex(&mark.fingerprint) }
    }
}

/// What a session ends by; a field without a value is left out.
#[derive(Serialize)]
pub(super) struct Deadlines {
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_hook: Option<Timestamp>,
}

/// What became of a log that was cut.
#[derive(Serialize)]
pub(super) struct Log {
    /// The last event that the trail had.
    pub expected: Mark,
    /// What stood in its place.
    pub found: Option<Mark>,
    /// The trail goes on after this place.
    pub goes_on_after: u64,
    /// Events after the expected one that are gone, and that no record tells of; absent where the log has skipped places, so
    /// that nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u64>,
    /// Places up to the expected one that the log has no more, or has filled anew: what records before this one tell of
    /// them was lost by the session store.
    pub lost: u64,
    /// Sessions that were live by the trail and are not in the store, as many as are named here at most.
    pub sessions_lost: Vec<LostSession>,
    /// How many there were.
    pub sessions_lost_number: usize,
    /// Sessions in the store that the trail did not know, or knew otherwise.
    pub sessions_found_number: usize,
}

/// A session that was lost.
#[derive(Serialize)]
pub(super) struct LostSession {
    pub session_id: String,
    pub phone: String,
    pub user: String,
}

/// A rebuild that begins.
#[derive(Serialize)]
pub(super) struct Rebuild {
    /// Events of the rebuilt store come after this place.
    pub goes_on_after: u64,
    /// Sessions that come back.
    pub sessions_number: usize,
    /// Sessions that end by it.
    pub ended_number: usize,
}

/// Records that were deleted.
#[derive(Serialize)]
pub(super) struct Pruned {
    /// The last of them.
    pub until: u64,
    /// Its hash: the first record that is kept hangs on it.
    pub hash: String,
    /// How many.
    pub records: usize,
    /// All of them are from before this instant.
    pub older_than: Timestamp,
}

impl Body {
    /// What an event is recorded as; its number is given when it is added to the chain. `None` for one that tells of no
    /// login and no logout.
    pub(super) fn of(stored: &StoredEvent, event: Mark) -> Option<Self> {
        let body = match &stored.event {
            SessionEvent::LoggedIn(session) => Self::begun(AuditKind::Login, session, stored.at),
            SessionEvent::Refreshed(refreshed) => Self {
                actor: Some(refreshed.actor.clone()),
                ..Self::begun(AuditKind::Refresh, &refreshed.session, stored.at)
            },
            SessionEvent::LogoutPending(session) => Self::pending(session, stored.at),
            SessionEvent::LoggedOut(out) => Self::ended(out, stored.at),
            SessionEvent::Refused(refused) => Self::refused(refused, stored.at),
            SessionEvent::Redressed(_) => return None,
        };
        Some(Self { event: Some(event), ..body })
    }

    pub(super) fn empty(kind: AuditKind, at: Timestamp) -> Self {
        Self {
            version: VERSION,
            number: 0,
            time: format!("{at:.9}"),
            kind,
            event: None,
            phone: String::new(),
            user: String::new(),
            profile: String::new(),
            session_id: String::new(),
            reason: String::new(),
            actor: None,
            login_time: None,
            deadlines: None,
            duration_seconds: None,
            note: String::new(),
            agent_state: None,
            more: 0,
            session: None,
            log: None,
            rebuild: None,
            pruned: None,
        }
    }

    fn about(kind: AuditKind, session: &Session, at: Timestamp) -> Self {
        Self {
            phone: session.phone.to_string(),
            user: session.user.to_string(),
            profile: session.profile.to_string(),
            session_id: session.id.to_string(),
            login_time: Some(session.since),
            agent_state: session.agent_state,
            ..Self::empty(kind, at)
        }
    }

    fn begun(kind: AuditKind, session: &Session, at: Timestamp) -> Self {
        Self {
            actor: Some(session.actor.clone()),
            deadlines: Some(Deadlines {
                maximum_time: session.expires_at,
                idle_seconds: session.idle_limit.map(|limit| limit.as_secs()),
                daily: session.daily_logout_at,
                on_hook: session.apply_by,
            }),
            session: Some(session.told()),
            ..Self::about(kind, session, at)
        }
    }

    fn pending(session: &Session, at: Timestamp) -> Self {
        let reason = session.pending_logout.as_ref().map(|pending| reason_word(pending.reason).to_owned());
        Self {
            reason: reason.unwrap_or_default(),
            session: Some(session.told()),
            ..Self::about(AuditKind::LogoutPending, session, at)
        }
    }

    /// A session that goes on while the record of its login is deleted.
    pub(super) fn kept(session: &Session, at: Timestamp) -> Self {
        Self::begun(AuditKind::LoginKept, session, at)
    }

    /// A session that has ended.
    pub(super) fn ended(out: &EndedSession, at: Timestamp) -> Self {
        let lasted: SignedDuration = out.at.duration_since(out.session.since);
        Self {
            reason: reason_word(out.reason).to_owned(),
            actor: Some(out.actor.clone()),
            duration_seconds: Some(lasted.as_secs_f64()),
            note: out.note.clone(),
            ..Self::about(AuditKind::Logout, &out.session, at)
        }
    }

    fn refused(refused: &Refused, at: Timestamp) -> Self {
        let kind = match refused.what {
            Asked::Login => AuditKind::LoginRefused,
            Asked::Logout => AuditKind::LogoutRefused,
        };
        let reason = refused.reason.strip_prefix("ERROR_REASON_").unwrap_or(&refused.reason);
        Self {
            phone: refused.phone.to_string(),
            user: name(&refused.user),
            profile: name(&refused.profile),
            reason: reason.to_owned(),
            actor: Some(refused.actor.clone()),
            more: refused.more,
            ..Self::empty(kind, at)
        }
    }
}

/// What a record says beside the columns that it is found by.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Told {
    pub profile: String,
    pub session_id: String,
    pub reason: String,
    pub actor: Option<Actor>,
}

impl Told {
    /// What the body says; nothing where it cannot be read, as after somebody has changed it.
    pub(crate) fn by(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// A name as it was sent, without what no database takes.
fn name(sent: &str) -> String {
    sent.chars().take(NAME).map(|char| if char == '\0' { '\u{fffd}' } else { char }).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
