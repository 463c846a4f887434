//! What this service adds to the audit trail by itself (EV-1): refresh tokens that come again after they were spent.

use std::net::IpAddr;

use jiff::Timestamp;
use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::Actor;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{OwnRecord, SignIn, StoreError};
use serde::Serialize;

use crate::Service;

/// The sign-in that was ended, and when it had begun.
#[derive(Serialize)]
struct Ended<'a> {
    sign_in: &'a str,
    sign_in_time: Timestamp,
}

impl Service {
    /// Records that a refresh token of that sign-in was used again from there. By whom is not known: by its owner, or by
    /// somebody who took the token from him.
    pub(crate) async fn record_reuse(&self, of: &SignIn, from: Option<IpAddr>) -> Result<(), StoreError> {
        let record = OwnRecord {
            kind: AuditKind::RefreshTokenReused,
            user: of.principal.to_string(),
            reason: Refusal::reason_name(ErrorReason::RefreshTokenRefused),
            actor: Actor {
                source: from.map(|address| address.to_string()).unwrap_or_default(),
                ..Actor::default()
            },
            details: Ended { sign_in: &of.id, sign_in_time: of.begun_at },
        };
        record.add_to(&*self.store, self.clock.now()).await
    }
}
