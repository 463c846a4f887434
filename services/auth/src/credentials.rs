//! Setting and changing credentials.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use roamline_domain::credential::{Attempts, PrincipalKind, SecretKind, check_form, check_own};
use roamline_domain::{PrincipalName, Violations};
use roamline_store::{Principal, SecretRecord};
use secrecy::{ExposeSecret, SecretString};

use crate::Service;
use crate::error::AuthError;
use crate::sign_in::{COMMITS, Proof, secret_mut, secret_of};

/// A credential to be set, well-formed but not yet checked against policy and store.
pub(crate) struct Wanted {
    pub(crate) name: PrincipalName,
    pub(crate) kind: PrincipalKind,
    pub(crate) secret_kind: SecretKind,
    pub(crate) secret: SecretString,
    pub(crate) must_change: bool,
}

/// The same with its secret hashed, and its place in the request.
struct Hashed {
    index: usize,
    name: PrincipalName,
    kind: PrincipalKind,
    secret_kind: SecretKind,
    record: SecretRecord,
}

impl Service {
    /// Sets all of them or none, and lifts the lockouts of those named. An administrator may set what its owner could
    /// not set himself: sites with short PINs are taken over as they are.
    pub(crate) async fn set_credentials(
        &self,
        wanted: Vec<Wanted>,
        validate_only: bool,
    ) -> Result<(), AuthError> {
        check_forms(&wanted)?;
        self.load(wanted.iter().enumerate().map(|(index, item)| (index, &item.name, item.kind))).await?;
        if validate_only || wanted.is_empty() {
            return Ok(());
        }
        let hashed = self.hash_all(wanted).await?;
        for _ in 0..COMMITS {
            let mut principals = self.load(hashed.iter().map(|h| (h.index, &h.name, h.kind))).await?;
            for item in &hashed {
                let Some(principal) = principals.get_mut(&item.name) else { continue };
                principal.attempts = Attempts::default();
                set(principal, item.secret_kind, item.record.clone());
            }
            if self.store.set_principals(principals.into_values().collect()).await? {
                return Ok(());
            }
        }
        Err(AuthError::Contended)
    }

    /// Replaces a secret by its owner's wish.
    pub(crate) async fn change_credential(
        &self,
        proof: &Proof,
        replacement: SecretString,
    ) -> Result<(), AuthError> {
        let mut weak = Violations::new();
        let (policy, name) = (self.policy.load_full(), proof.name.as_str());
        if let Err(error) = check_own(proof.kind, replacement.expose_secret(), name, &policy) {
            weak.add("replacement", "SP-14", error.to_string());
        } else if replacement.expose_secret() == proof.secret.expose_secret() {
            weak.add("replacement", "SP-14", "must differ from the current one");
        }
        weak.none_or(()).map_err(AuthError::TooWeak)?;

        let proven = self.prove(proof).await?;
        let old = secret_of(&proven, proof.kind).map(|secret| secret.hash.clone());
        let _place = self.hasher.admit()?;
        let hash = self.hasher.hash(replacement).await?;
        let record = SecretRecord { hash, must_change: false, set_at: self.clock.now() };
        for _ in 0..COMMITS {
            let Some(mut principal) = self.store.principal(&proof.name).await? else { break };
            // Somebody else set it meanwhile: what was proven is no longer what holds.
            if secret_of(&principal, proof.kind).map(|secret| &secret.hash) != old.as_ref() {
                return Err(AuthError::Refused);
            }
            if let Some(secret) = secret_mut(&mut principal, proof.kind) {
                *secret = record.clone();
            }
            if self.store.set_principals(vec![principal]).await? {
                return Ok(());
            }
        }
        Err(AuthError::Contended)
    }

    /// The principals of those names as they are, or new ones; refused if one is of another kind (DP-16).
    async fn load<'a>(
        &self,
        names: impl Iterator<Item = (usize, &'a PrincipalName, PrincipalKind)>,
    ) -> Result<BTreeMap<PrincipalName, Principal>, AuthError> {
        let (mut principals, mut taken, mut by) = (BTreeMap::new(), Violations::new(), None);
        for (index, name, kind) in names {
            if principals.contains_key(name) {
                continue;
            }
            let principal = self.store.principal(name).await?.unwrap_or_else(|| Principal {
                name: name.clone(),
                kind,
                pin: None,
                password: None,
                attempts: Attempts::default(),
                version: 0,
            });
            if principal.kind != kind {
                by.get_or_insert(principal.kind);
                taken.add(
                    format!("credentials[{index}].name"),
                    "DP-16",
                    "is the name of a credential of another kind",
                );
            }
            principals.insert(name.clone(), principal);
        }
        match by {
            Some(kind) => Err(AuthError::Exists(taken, kind)),
            None => Ok(principals),
        }
    }

    /// Hashes side by side, each in its turn with those of everybody else.
    async fn hash_all(&self, wanted: Vec<Wanted>) -> Result<Vec<Hashed>, AuthError> {
        let _place = self.hasher.admit()?;
        let (now, policy) = (self.clock.now(), self.policy.load_full());
        let policy = &policy;
        stream::iter(wanted.into_iter().enumerate())
            .map(|(index, item)| async move {
                let hash = self.hasher.hash(item.secret).await?;
                let must_change = item.must_change || policy.must_be_changed_first(item.kind);
                let record = SecretRecord { hash, must_change, set_at: now };
                let Wanted { name, kind, secret_kind, .. } = item;
                Ok(Hashed { index, name, kind, secret_kind, record })
            })
            .buffer_unordered(self.hasher.concurrency())
            .try_collect()
            .await
    }
}

fn check_forms(wanted: &[Wanted]) -> Result<(), AuthError> {
    let mut weak = Violations::new();
    for (index, item) in wanted.iter().enumerate() {
        if let Err(error) = check_form(item.secret_kind, item.secret.expose_secret()) {
            weak.add(format!("credentials[{index}].credential"), "SP-14", error.to_string());
        }
    }
    weak.none_or(()).map_err(AuthError::TooWeak)
}

fn set(principal: &mut Principal, kind: SecretKind, record: SecretRecord) {
    match kind {
        SecretKind::Pin => principal.pin = Some(record),
        SecretKind::Password => principal.password = Some(record),
    }
}
