//! What the trail says when a lost session store is about to be rebuilt from it ([`crate::recovery`]). It is said from
//! the place up to which the trail was read: whoever read events before the loss and brings them now is refused, or was
//! faster and the rebuild begins anew; so the trail and what was rebuilt from it agree.

use jiff::Timestamp;
use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::EndedSession;
use roamline_store::{AuditError, AuditPlace, AuditQuery, AuditStore, Sequence, StoreError};

use super::Chain;
use super::body::{Body, Rebuild};

/// Records that are read at once.
const PAGE: u32 = 256;

/// What is about to be rebuilt.
pub(crate) struct ToRebuild<'a> {
    /// Events of the rebuilt store come after this place.
    pub goes_on_after: Sequence,
    /// How many sessions come back.
    pub sessions: usize,
    /// Those that do not.
    pub ended: &'a [EndedSession],
}

/// Records that a rebuild begins, and the ends of the sessions that do not come back, before anything is rebuilt: they are
/// not lost with the process.
///
/// # Errors
/// [`AuditError::Moved`] where the trail has gone on from that place.
pub(crate) async fn fence(
    audit: &dyn AuditStore,
    place: &AuditPlace,
    told: &ToRebuild<'_>,
    now: Timestamp,
) -> Result<(), AuditError> {
    let unwritable = |error: serde_json::Error| StoreError::Corrupt {
        what: "a record of the audit trail".into(),
        source: error.into(),
    };
    let mut chain = Chain::from(place);
    for ended in told.ended {
        chain.add(Body::ended(ended, now), now, None).map_err(unwritable)?;
    }
    let rebuild = Rebuild {
        goes_on_after: told.goes_on_after,
        sessions_number: told.sessions,
        ended_number: told.ended.len(),
    };
    let body = Body { rebuild: Some(rebuild), ..Body::empty(AuditKind::RebuildBegun, now) };
    chain.add(body, now, None).map_err(unwritable)?;
    let ended = told.ended.iter().map(|ended| ended.session.id.clone()).collect();
    audit.append(chain.step(place, Vec::new(), ended)).await
}

/// Where the trail stands now, if nothing was added after that place but what services tell by themselves: what was made
/// of the sessions there still holds.
pub(crate) async fn is_still(
    audit: &dyn AuditStore,
    place: &AuditPlace,
) -> Result<Option<AuditPlace>, StoreError> {
    let here = audit.place().await?;
    if (here.sequence, &here.fingerprint) != (place.sequence, &place.fingerprint) {
        return Ok(None);
    }
    let mut seen = place.number;
    while seen < here.number {
        let between = audit.records(&AuditQuery::default(), seen, PAGE).await?;
        let Some(last) = between.last() else { return Ok(None) };
        if between.iter().any(|record| record.number <= here.number && !record.kind.is_told_by_itself()) {
            return Ok(None);
        }
        seen = last.number;
    }
    Ok(Some(here))
}

/// Whether the last thing that the trail says of the sessions' store at that place is that a rebuild begins. What services
/// tell by themselves may stand behind it. Up to the record `looked_at` it does not say so.
pub(super) async fn is_rebuilding(
    audit: &dyn AuditStore,
    place: &AuditPlace,
    looked_at: u64,
) -> Result<bool, StoreError> {
    let mut until = place.number;
    while until > looked_at {
        let after = until.saturating_sub(u64::from(PAGE)).max(looked_at);
        let records = audit.records(&AuditQuery::default(), after, PAGE).await?;
        let mut records = records.iter().rev().filter(|record| record.number <= until);
        if let Some(last) = records.find(|record| !record.kind.is_told_by_itself()) {
            return Ok(last.kind == AuditKind::RebuildBegun);
        }
        until = after;
    }
    Ok(false)
}
