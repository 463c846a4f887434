//! Credentials.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::PrincipalName;
use roamline_domain::credential::{Attempts, OwnPolicy, PrincipalKind, Role};

use crate::StoreError;

/// One secret of a principal, hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// PHC string of the hash.
    pub hash: String,
    /// Whether the owner must change it before he uses it.
    pub must_change: bool,
    /// When it was set.
    pub set_at: Timestamp,
    /// When it was last proven, to the day or so; none where it never was (SP-14: inactivity).
    pub used_at: Option<Timestamp>,
    /// PHC strings of those before it, the latest first (SP-14: history).
    pub history: Vec<String>,
}

impl SecretRecord {
    /// A secret that is set at `now`, with none before it.
    pub fn new(hash: String, must_change: bool, now: Timestamp) -> Self {
        Self { hash, must_change, set_at: now, used_at: None, history: Vec::new() }
    }

    /// The same as what follows `before`, whose hash becomes the first of the history; `kept` of them are.
    #[must_use]
    pub fn after(self, before: Option<&Self>, kept: usize) -> Self {
        let Some(before) = before else { return self };
        let history = std::iter::once(&before.hash).chain(&before.history).take(kept).cloned().collect();
        Self { history, ..self }
    }
}

impl std::fmt::Debug for SecretRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretRecord")
            .field("must_change", &self.must_change)
            .field("set_at", &self.set_at)
            .field("used_at", &self.used_at)
            .finish_non_exhaustive()
    }
}

/// Whoever has a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique over all kinds (DP-16).
    pub name: PrincipalName,
    /// Whose it is.
    pub kind: PrincipalKind,
    /// What he is for; empty where the role of his kind holds.
    pub roles: BTreeSet<Role>,
    /// His PIN.
    pub pin: Option<SecretRecord>,
    /// His password.
    pub password: Option<SecretRecord>,
    /// What has happened to his credentials lately; both secrets share it.
    pub attempts: Attempts,
    /// What the credential policy says otherwise for him (SP-14).
    pub policy: OwnPolicy,
    /// 0 before the first commit; the store makes it more at each.
    pub version: u64,
}

impl Principal {
    /// Somebody without a secret, who has never been written.
    pub fn new(name: PrincipalName, kind: PrincipalKind) -> Self {
        Self {
            name,
            kind,
            roles: BTreeSet::new(),
            pin: None,
            password: None,
            attempts: Attempts::default(),
            policy: OwnPolicy::default(),
            version: 0,
        }
    }

    /// What he is for: what he was given, or else the role of his kind.
    pub fn held_roles(&self) -> BTreeSet<Role> {
        if self.roles.is_empty() { Role::of(self.kind).into_iter().collect() } else { self.roles.clone() }
    }
}

/// Credentials of a cluster.
#[async_trait]
pub trait CredentialStore: Send + Sync + 'static {
    /// The principal of that name.
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError>;

    /// Writes all of these, or none, in one step that survives the process, if each still has the version it carries
    /// (0: there is none of that name). Returns false, with nothing written, when one has moved.
    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError>;

    /// Deletes those of these principals that there are, of that kind alone if one is given, in one step that survives the
    /// process. Whoever is written anew under the name of one has no version that anybody before him had: what was decided
    /// from a principal who is gone is never written to his successor.
    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<(), StoreError>;
}
