//! A log that is another one than the trail was fed from. A session store that failed over may have lost the end of its
//! log, and filled the places anew; one that was lost altogether is rebuilt, as the last record says ([`super::fence`]), and
//! goes on far behind its last place.
//!
//! The trail says so in a record of its own, takes over the sessions that the store has, and goes on after the last
//! event that both have. It does so, too, where a rebuild has begun and the store came back as it was. Events that it has already are known by their marks, so none is recorded twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, EventMark};
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, SessionId};
use roamline_store::{AuditPlace, AuditStep, EventsError, PLACES_SKIPPED, Sequence};

use super::body::{Body, Log, LostSession, Mark, hex};
use super::{Chain, FeedError, Feeder, PAGE, mark};

/// Sessions that are named in one record at most.
const NAMED: usize = 100;
/// Sessions read from the trail at once.
const SESSIONS: u32 = 1000;

/// How the log is another one.
#[derive(Debug)]
pub(super) enum Cut {
    /// It ends before the place.
    Ended,
    /// Another event stands there.
    Other(EventMark),
    /// It has not what comes after the place.
    Gone,
    /// It is the same, though the trail says that it is about to be rebuilt: the store came back.
    Back,
}

/// What the store's sessions mean for those that the trail knows.
#[derive(Default)]
struct Repair {
    live: Vec<Session>,
    lost: Vec<Session>,
}

impl Feeder {
    /// The step that records a cut. The place is the one that the log was compared with.
    pub(super) async fn step_of_cut(
        &self,
        place: &AuditPlace,
        cut: Cut,
        now: Timestamp,
    ) -> Result<AuditStep, FeedError> {
        let snapshot = self.store.snapshot(None).await.map_err(FeedError::Sessions)?;
        let here = EventMark { sequence: place.sequence, fingerprint: place.fingerprint.clone() };
        let goes_on = match cut {
            Cut::Back => here.clone(),
            _ => self.last_common(place.sequence.min(snapshot.sequence)).await?,
        };
        let repair = self.repair(snapshot.phones.into_iter().filter_map(|phone| phone.session)).await?;

        let skipped = goes_on.sequence.saturating_sub(place.sequence);
        let rebuilt = !matches!(cut, Cut::Back) && self.is_rebuilding(place).await?;
        let kind = if rebuilt { AuditKind::StoreRebuilt } else { AuditKind::StoreCut };
        let found = match &cut {
            Cut::Other(found) => Some(Mark::of(found)),
            Cut::Back => Some(Mark::of(&here)),
            Cut::Ended | Cut::Gone => None,
        };
        let log = Log {
            expected: Mark { place: place.sequence, fingerprint: hex(&place.fingerprint) },
            found,
            goes_on_after: goes_on.sequence,
            unknown: (!rebuilt && skipped < PLACES_SKIPPED).then_some(skipped),
            lost: place.sequence.saturating_sub(goes_on.sequence),
            sessions_lost: repair.lost.iter().take(NAMED).map(LostSession::of).collect(),
            sessions_lost_number: repair.lost.len(),
            sessions_found_number: repair.live.len(),
        };
        tracing::error!(
            place = place.sequence,
            goes_on_after = goes_on.sequence,
            unknown = log.unknown,
            lost = log.lost,
            rebuilt,
            ?cut,
            "the event log is another one than the audit trail was fed from, or a rebuild was not needed"
        );
        let mut chain = Chain::from(place);
        chain.add(Body { log: Some(log), ..Body::empty(kind, now) }, now, None)?;
        chain.to.sequence = goes_on.sequence;
        chain.to.fingerprint = goes_on.fingerprint;
        Ok(chain.step(place, repair.live, repair.lost.into_iter().map(|session| session.id).collect()))
    }

    /// The last event up to that place that both the log and the trail have; else what is before the oldest of the log.
    async fn last_common(&self, mut until: Sequence) -> Result<EventMark, FeedError> {
        let before_oldest = match self.store.events(0, 1).await {
            Err(EventsError::TooOld { oldest, .. }) => oldest.saturating_sub(1),
            read => read.map(|_| 0)?,
        };
        while until > before_oldest {
            let after = until.saturating_sub(u64::from(PAGE)).max(before_oldest);
            let events = match self.store.events(after, PAGE).await {
                Ok(page) => page.events,
                // The window begins among places that were skipped when the log lost its end, and ends behind them.
                Err(EventsError::TooOld { oldest, .. }) if oldest < until => {
                    self.store.events(oldest, PAGE).await?.events
                }
                Err(EventsError::TooOld { .. } | EventsError::Ahead { .. }) => Vec::new(),
                Err(EventsError::Store(error)) => return Err(FeedError::Sessions(error)),
            };
            let known = self.audit.recorded(after, until).await.map_err(FeedError::Audit)?;
            let marks = events.iter().filter(|event| event.sequence <= until).map(mark);
            if let Some(common) = marks.rev().find(|mark| known.contains(mark)) {
                return Ok(common);
            }
            until = after;
        }
        Ok(EventMark { sequence: before_oldest, fingerprint: Vec::new() })
    }

    /// What the trail must change to know the sessions of the store.
    async fn repair(&self, sessions: impl Iterator<Item = Session>) -> Result<Repair, FeedError> {
        let mut here: BTreeMap<SessionId, Session> =
            sessions.map(|session| (session.id.clone(), session.told())).collect();
        let mut repair = Repair::default();
        let mut after: Option<PhoneName> = None;
        loop {
            let page = self.audit.live(after.as_ref(), SESSIONS).await.map_err(FeedError::Audit)?;
            let Some(last) = page.last() else { break };
            after = Some(last.phone.clone());
            for known in page {
                match here.remove(&known.id) {
                    Some(session) if session == known => {}
                    Some(session) => repair.live.push(session),
                    None => repair.lost.push(known),
                }
            }
        }
        repair.live.extend(here.into_values());
        Ok(repair)
    }
}

impl LostSession {
    fn of(session: &Session) -> Self {
        Self {
            session_id: session.id.to_string(),
            phone: session.phone.to_string(),
            user: session.user.to_string(),
        }
    }
}
