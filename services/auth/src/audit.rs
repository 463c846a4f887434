//! What this service adds to the audit trail by itself (EV-1): who has not proven who he is, and refresh tokens that come
//! again after they were spent. Credentials that it checks for other services are in the records of those.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use roamline_domain::audit::AuditKind;
use roamline_domain::credential::place_of;
use roamline_domain::phone_state::Actor;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{OwnRecord, SignIn, StoreError};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::error::AuthError;

/// What somebody wanted who did not prove who he is: the name of an RPC.
#[derive(Default, Serialize)]
pub(crate) struct Asked {
    #[serde(skip_serializing_if = "str::is_empty")]
    request: &'static str,
}

/// The longest name of somebody that is written down.
const LONGEST_NAME: usize = 200;

/// The sign-in that was ended, and when it had begun.
#[derive(Serialize)]
struct Ended<'a> {
    sign_in: &'a str,
    sign_in_time: Timestamp,
}

impl Service {
    /// Notes for the trail that somebody from there did not prove that he is of that name, if the answer says so. Whether
    /// there is such a name makes no difference (LI-2).
    pub(crate) fn note_refused<T>(
        &self,
        request: &'static str,
        name: &str,
        from: Option<IpAddr>,
        answer: &Result<T, AuthError>,
    ) {
        let reason = match answer {
            Err(AuthError::Refused) => ErrorReason::CredentialRefused,
            Err(AuthError::MustChange(_)) => ErrorReason::CredentialMustChange,
            Err(AuthError::Throttled(_)) => ErrorReason::TooManyRequests,
            _ => return,
        };
        let text = |address: IpAddr| address.to_string();
        let record = OwnRecord {
            kind: AuditKind::SignInRefused,
            user: name.chars().take(LONGEST_NAME).collect(),
            reason: Refusal::reason_name(reason),
            actor: Actor { source: from.map(text).unwrap_or_default(), ..Actor::default() },
            details: Asked { request },
        };
        self.refusals.note(&from.map(place_of).map(text).unwrap_or_default(), record);
    }

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

/// Tells the trail who was refused, until the process stops.
pub(crate) async fn run(service: Arc<Service>, stopping: CancellationToken) {
    service.refusals.run(stopping.cancelled()).await;
}
