//! Setting and changing credentials.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use roamline_domain::credential::{
    Attempts, CredentialPolicy, PrincipalKind, Role, SecretKind, WeakSecret, check_difference, check_form,
    check_own,
};
use roamline_domain::{PrincipalName, Violations};
use roamline_store::{Principal, SecretRecord};
use secrecy::{ExposeSecret, SecretString};

use crate::Service;
use crate::error::AuthError;
use crate::hashing::Place;
use crate::sign_in::{COMMITS, Proof, is_same_secret, must_change, secret_of};

/// A credential to be set, well-formed but not yet checked against policy and store.
pub(crate) struct Wanted {
    pub(crate) name: PrincipalName,
    pub(crate) kind: PrincipalKind,
    /// What he is for; empty leaves it as it is.
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) secret_kind: SecretKind,
    pub(crate) secret: SecretString,
    pub(crate) must_change: bool,
}

/// The same with its secret hashed, and its place in the request.
struct Hashed {
    index: usize,
    name: PrincipalName,
    kind: PrincipalKind,
    roles: BTreeSet<Role>,
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
        let items = wanted.iter().enumerate().map(|(index, item)| (index, &item.name, item.kind));
        let before = self.load(items).await?;
        if validate_only || wanted.is_empty() {
            return Ok(());
        }
        let hashed = self.hash_all(wanted).await?;
        // Secrets and sign-ins change in two steps. The sign-ins end before the write, so that whoever set a secret anew
        // because of stolen tokens is rid of them even if nothing after the write comes to pass; and again after it, as
        // somebody may sign in with the old one in between. A sign-in that ends for nothing costs its owner a sign-in.
        self.end_all(known(&before)).await?;
        for _ in 0..COMMITS {
            let mut principals = self.load(hashed.iter().map(|h| (h.index, &h.name, h.kind))).await?;
            for item in &hashed {
                let Some(principal) = principals.get_mut(&item.name) else { continue };
                principal.attempts = Attempts::default();
                if !item.roles.is_empty() {
                    principal.roles.clone_from(&item.roles);
                }
                let policy = self.policy_of(principal);
                let mut record = item.record.clone();
                record.must_change |= policy.must_be_changed_first(principal.kind);
                set(principal, item.secret_kind, record, kept(&policy));
            }
            let names = known(&principals);
            if self.store.set_principals(principals.into_values().collect()).await? {
                return self.end_all(names).await;
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
        // What is asked of him in particular is told to nobody else.
        check_form(proof.kind, replacement.expose_secret()).map_err(weak)?;
        let proven = self.prove(proof).await?;
        let (policy, name) = (self.policy_of(&proven), proof.name.as_str());
        check_own(proof.kind, replacement.expose_secret(), name, &policy).map_err(weak)?;
        let current = proof.secret.expose_secret();
        check_difference(current, replacement.expose_secret(), &policy).map_err(weak)?;
        let old = secret_of(&proven, proof.kind).ok_or(AuthError::Refused)?;
        let now = self.clock.now();
        if must_change(&proven, proof.kind, &policy, now).is_none() {
            policy.check_interval(old.set_at, now).map_err(weak)?;
        }
        let place = self.hasher.admit(proof.from.source)?;
        self.check_history(&place, old, &replacement, &policy, name).await?;
        let record = SecretRecord::new(self.hasher.hash(&place, replacement).await?, false, now);
        // Before the write and after it, as where secrets are set.
        self.end_all(vec![proof.name.clone()]).await?;
        for _ in 0..COMMITS {
            let Some(mut principal) = self.store.principal(&proof.name).await? else { break };
            // Somebody else set it meanwhile: what was proven is no longer what holds.
            if !secret_of(&principal, proof.kind).is_some_and(|secret| is_same_secret(secret, old)) {
                return Err(AuthError::Refused);
            }
            set(&mut principal, proof.kind, record.clone(), kept(&policy));
            if self.store.set_principals(vec![principal]).await? {
                return self.end_all(vec![proof.name.clone()]).await;
            }
        }
        Err(AuthError::Contended)
    }

    /// That the replacement is none of the last ones, each compared in its turn: at most 25 (SP-14).
    async fn check_history(
        &self,
        place: &Place,
        current: &SecretRecord,
        replacement: &SecretString,
        policy: &CredentialPolicy,
        name: &str,
    ) -> Result<(), AuthError> {
        let most = usize::try_from(policy.history).unwrap_or(usize::MAX);
        for hash in current.history.iter().take(most) {
            if self.hasher.verify(place, replacement.clone(), Some(hash), name).await?.matches {
                return Err(weak(WeakSecret::UsedBefore(most)));
            }
        }
        Ok(())
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
            let known = self.store.principal(name).await?;
            let principal = known.unwrap_or_else(|| Principal::new(name.clone(), kind));
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
        let (now, place) = (self.clock.now(), &self.hasher.admit(None)?);
        stream::iter(wanted.into_iter().enumerate())
            .map(|(index, item)| async move {
                let hash = self.hasher.hash(place, item.secret).await?;
                let record = SecretRecord::new(hash, item.must_change, now);
                let Wanted { name, kind, roles, secret_kind, .. } = item;
                Ok(Hashed { index, name, kind, roles, secret_kind, record })
            })
            .buffer_unordered(self.hasher.concurrency())
            .try_collect()
            .await
    }
}

/// Those of them who may have tokens: who is new has none yet.
fn known(principals: &BTreeMap<PrincipalName, Principal>) -> Vec<PrincipalName> {
    let known = principals.values().filter(|principal| principal.version > 0);
    known.map(|principal| principal.name.clone()).collect()
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

fn weak(error: WeakSecret) -> AuthError {
    let mut weak = Violations::new();
    weak.add("replacement", "SP-14", error.to_string());
    AuthError::TooWeak(weak)
}

/// Former secrets that are kept. One is, whatever the policy: it tells a secret that was set anew from a first one.
fn kept(policy: &CredentialPolicy) -> usize {
    usize::try_from(policy.history).unwrap_or(usize::MAX).max(1)
}

fn set(principal: &mut Principal, kind: SecretKind, record: SecretRecord, kept: usize) {
    let secret = match kind {
        SecretKind::Pin => &mut principal.pin,
        SecretKind::Password => &mut principal.password,
    };
    *secret = Some(record.after(secret.as_ref(), kept));
}
