//! Places in the log, and what tells the events in them apart.

use roamline_domain::phone_state::{PhoneState, Refused, SessionEvent};
use roamline_store::{Sequence, SessionStore, StoreError, StoredEvent};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// What tells an event from any other that could stand in its place: its [`fingerprint`] as a number.
pub(crate) type Mark = u64;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub sequence: Sequence,
    /// The mark of the event there; `None` where there is none: before the first event of a log.
    pub mark: Option<Mark>,
}

/// An event, and its mark.
#[derive(Debug)]
pub(crate) struct Noted {
    pub stored: StoredEvent,
    mark: Mark,
    /// Whether the phone wears what the event tells of, as it was found when that was first asked.
    worn: OnceCell<bool>,
}

impl Noted {
    pub(super) fn new(stored: StoredEvent) -> Self {
        let mark = fingerprint(&stored).into_iter().fold(0, |mark, byte| mark << 8 | u64::from(byte));
        Self { stored, mark, worn: OnceCell::new() }
    }

    /// Whether the phone wears what the session has brought. A login is told of before anybody can wear it; a session
    /// that goes on with its profile as it is now may have changed nothing that shows, and the store says what is worn.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn is_worn(&self, store: &dyn SessionStore) -> Result<bool, StoreError> {
        let SessionEvent::Refreshed(refreshed) = &self.stored.event else { return Ok(false) };
        let session = &refreshed.session;
        let ask = || async {
            let state = store.phone(&session.phone).await?;
            let is_it = |state: &PhoneState| state.session.as_ref().is_some_and(|live| live.id == session.id);
            Ok(state.filter(is_it).is_some_and(|state| state.acknowledged >= session.generation))
        };
        self.worn.get_or_try_init(ask).await.copied()
    }

    /// As [`Noted::is_worn`] has found it.
    pub(crate) fn was_found_worn(&self) -> bool {
        self.worn.get().copied().unwrap_or_default()
    }

    /// The place in which it stands.
    pub(crate) fn place(&self) -> Place {
        Place { sequence: self.stored.sequence, mark: Some(self.mark) }
    }
}

/// What tells an event from any other that could stand in its place: eight bytes of a digest of its place, its instant,
/// what it is and whom it is about. It stays the same when later versions add fields to events.
pub(crate) fn fingerprint(event: &StoredEvent) -> Vec<u8> {
    let (kind, detail) = match &event.event {
        SessionEvent::LoggedIn(session) => ("logged-in", session.epoch.to_string()),
        SessionEvent::LoggedOut(ended) => ("logged-out", format!("{:?}", ended.reason)),
        SessionEvent::LogoutPending(_) => ("logout-pending", String::new()),
        SessionEvent::Redressed(_) => ("redressed", String::new()),
        SessionEvent::Refreshed(refreshed) => ("refreshed", refreshed.session.generation.to_string()),
        SessionEvent::Refused(refused) => {
            let Refused { reason, user, profile, actor, more, .. } = refused;
            ("refused", format!("{:?} {reason} {more} {user:?} {profile:?} {:?}", refused.what, actor.source))
        }
    };
    let session = event.event.session().map_or("", |session| session.id.as_str());
    let (place, at, phone) = (event.sequence, event.at.as_microsecond(), event.event.phone());
    let digest = Sha256::digest(format!("{place} {at} {kind} {phone} {session} {detail}"));
    digest.iter().copied().take(8).collect()
}
