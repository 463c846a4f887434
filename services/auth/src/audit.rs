//! What this service adds to the audit trail by itself (EV-1): refresh tokens that come again after they were spent. The
//! record hangs on the chain beside those of sessions, whoever of all processes writes the next one.

use std::net::IpAddr;

use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord};
use roamline_domain::phone_state::Actor;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{AuditError, AuditPlace, AuditStep, SignIn, StoreError};
use serde::Serialize;

use crate::Service;
use crate::sign_in::COMMITS;

/// As the session service's records have it.
const VERSION: u32 = 1;

/// The record as it is hashed; its fields mean what they mean in the records of sessions.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    number: u64,
    time: String,
    kind: AuditKind,
    user: &'a str,
    reason: &'a str,
    actor: Actor,
    /// The sign-in that was ended, and when it had begun.
    sign_in: &'a str,
    sign_in_time: Timestamp,
}

impl Service {
    /// Records that a refresh token of that sign-in was used again from there. By whom is not known: by its owner, or by
    /// somebody who took the token from him.
    pub(crate) async fn record_reuse(&self, of: &SignIn, from: Option<IpAddr>) -> Result<(), StoreError> {
        let now = self.clock.now();
        for _ in 0..COMMITS {
            let step = step(self.store.place().await?, of, from, now)?;
            match self.store.append(step).await {
                Ok(()) => return Ok(()),
                Err(AuditError::Moved) => {}
                Err(AuditError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("the audit trail is written by others all the time".into()))
    }
}

fn step(
    place: AuditPlace,
    of: &SignIn,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<AuditStep, StoreError> {
    let number = place.number.saturating_add(1);
    let user = of.principal.to_string();
    let body = Body {
        version: VERSION,
        number,
        time: format!("{now:.9}"),
        kind: AuditKind::RefreshTokenReused,
        user: &user,
        reason: Refusal::reason_name(ErrorReason::RefreshTokenRefused),
        actor: Actor {
            source: from.map(|address| address.to_string()).unwrap_or_default(),
            ..Actor::default()
        },
        sign_in: &of.id,
        sign_in_time: of.begun_at,
    };
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        what: "a record of the audit trail".into(),
        source: error.into(),
    };
    let body = serde_json::to_string(&body).map_err(corrupt)?;
    let hash = place.hash.then(&body);
    let to = AuditPlace { number, hash, ..place.clone() };
    let record = AuditRecord {
        number,
        at: now,
        kind: AuditKind::RefreshTokenReused,
        phone: String::new(),
        user,
        body,
        event: None,
        hash,
    };
    Ok(AuditStep { from: place, to, records: vec![record], live: Vec::new(), ended: Vec::new() })
}
