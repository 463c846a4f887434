//! What the trail says when a lost session store is about to be rebuilt from it ([`crate::recovery`]). It is said from
//! the place up to which the trail was read: whoever read events before the loss and brings them now is refused, or was
//! faster and the rebuild begins anew; so the trail and what was rebuilt from it agree.

use jiff::Timestamp;
use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::EndedSession;
use roamline_store::{AuditError, AuditPlace, AuditQuery, AuditStore, Sequence, StoreError};

use super::Chain;
use super::body::{Body, Rebuild};

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

/// Whether the last thing that the trail says at that place is that a rebuild begins.
pub(super) async fn is_rebuilding(audit: &dyn AuditStore, place: &AuditPlace) -> Result<bool, StoreError> {
    let last = audit.records(&AuditQuery::default(), place.number.saturating_sub(1), 1).await?;
    Ok(last.first().is_some_and(|record| record.kind == AuditKind::RebuildBegun))
}
