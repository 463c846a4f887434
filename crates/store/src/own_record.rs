//! Records that a service adds to the audit trail by itself (EV-1), beside those that the event log of the sessions feeds.
//! They hang on the one chain, whoever of all processes writes the next one.

use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord};
use roamline_domain::phone_state::Actor;
use serde::Serialize;

use crate::{AuditError, AuditPlace, AuditStep, AuditStore, StoreError};

/// As the session service's records have it.
const VERSION: u32 = 1;
/// How often a record is tried that others were faster than.
const ATTEMPTS: usize = 64;

/// What is recorded.
#[derive(Clone, Debug)]
pub struct OwnRecord<D> {
    /// What happened.
    pub kind: AuditKind,
    /// Whom it is about; empty for nobody.
    pub user: String,
    /// Why: the name of an error's reason; empty for none.
    pub reason: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// What records of this kind say beyond that, field by field.
    pub details: D,
}

/// The record as it is hashed; its fields mean what they mean in the records of sessions.
#[derive(Serialize)]
struct Body<'a, D> {
    version: u32,
    number: u64,
    time: String,
    kind: AuditKind,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    actor: &'a Actor,
    #[serde(flatten)]
    details: &'a D,
}

impl<D: Serialize + Sync> OwnRecord<D> {
    /// Adds it to the trail, as something that happened then.
    ///
    /// # Errors
    /// As the store says; the trail may have the record where that is in doubt.
    pub async fn add_to(&self, trail: &(impl AuditStore + ?Sized), at: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let step = self.step(trail.place().await?, at)?;
            match trail.append(step).await {
                Ok(()) => return Ok(()),
                Err(AuditError::Moved) => {}
                Err(AuditError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("the audit trail is written by others all the time".into()))
    }

    fn step(&self, from: AuditPlace, at: Timestamp) -> Result<AuditStep, StoreError> {
        let number = from.number.saturating_add(1);
        let Self { kind, user, reason, actor, details } = self;
        let time = format!("{at:.9}");
        let body = Body { version: VERSION, number, time, kind: *kind, user, reason, actor, details };
        let body = serde_json::to_string(&body).map_err(|error| StoreError::Corrupt {
            what: "a record of the audit trail".into(),
            source: error.into(),
        })?;
        let hash = from.hash.then(&body);
        let to = AuditPlace { number, hash, ..from.clone() };
        let record = AuditRecord {
            number,
            at,
            kind: *kind,
            phone: String::new(),
            user: user.clone(),
            body,
            event: None,
            hash,
        };
        Ok(AuditStep { from, to, records: vec![record], live: Vec::new(), ended: Vec::new() })
    }
}
