//! Proof of who somebody is: one comparison, one count, one answer.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::PrincipalName;
use roamline_domain::credential::{CredentialPolicy, MustChange, PrincipalKind, SecretKind};
use roamline_serve::at_even_times;
use roamline_store::{Principal, SecretRecord};
use secrecy::SecretString;

use crate::Service;
use crate::error::AuthError;
use crate::throttle::Origin;
use crate::tokens::Issued;

/// Who somebody says he is, from where, and what he proves it with.
pub(crate) struct Proof {
    pub(crate) name: PrincipalName,
    pub(crate) kind: SecretKind,
    pub(crate) secret: SecretString,
    pub(crate) from: Origin,
}

/// Somebody who has proven who he is, and what he gets.
pub(crate) struct SignedIn {
    pub(crate) principal: Principal,
    pub(crate) issued: Issued,
}

/// How often a commit is tried again because somebody else changed the same principal meanwhile.
pub(crate) const COMMITS: usize = 64;
/// How often it is written that a secret is in use.
const USE_IS_WRITTEN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Service {
    /// The first tokens of a sign-in, for somebody who proves who he is.
    pub(crate) async fn sign_in(&self, proof: &Proof) -> Result<SignedIn, AuthError> {
        let principal = self.verify(proof).await?;
        let issued = self.begin(&principal, proof.kind).await?;
        Ok(SignedIn { principal, issued })
    }

    /// The principal who proves who he is, if his credential may be used as it is. A refusal comes as soon as it is known:
    /// who passes it on sees to it that its time tells nothing.
    pub(crate) async fn verify_at_once(&self, proof: &Proof) -> Result<Principal, AuthError> {
        let principal = self.compare(proof).await?;
        match must_change(&principal, proof.kind, &self.policy_of(&principal), self.clock.now()) {
            Some(cause) => Err(AuthError::MustChange(cause)),
            None => Ok(principal),
        }
    }

    /// The same; a refusal comes at an instant that does not tell its cause (LI-2).
    pub(crate) async fn verify(&self, proof: &Proof) -> Result<Principal, AuthError> {
        at_even_times(self.config.refusals_every, self.verify_at_once(proof), is_refused).await
    }

    /// The principal who proves who he is, be it with a credential that he must change. A refusal comes at an instant
    /// that does not tell its cause.
    pub(crate) async fn prove(&self, proof: &Proof) -> Result<Principal, AuthError> {
        at_even_times(self.config.refusals_every, self.compare(proof), is_refused).await
    }

    /// When the owner is to be warned that his secret expires (SP-14).
    pub(crate) fn expiry_to_tell(&self, principal: &Principal, kind: SecretKind) -> Option<Timestamp> {
        let secret = secret_of(principal, kind)?;
        self.policy_of(principal).warns_of(principal.kind, secret.set_at, self.clock.now())
    }

    /// Nothing that the throttle looks at depends on whether there is such a name.
    async fn compare(&self, proof: &Proof) -> Result<Principal, AuthError> {
        let admitted = self.throttle.admit(&proof.from, &proof.name, self.clock.now());
        admitted.map_err(AuthError::Throttled)?;
        let answer = self.compare_admitted(proof).await;
        if is_refused(&answer) {
            self.throttle.failed(&proof.from, &proof.name, self.clock.now());
        }
        answer
    }

    /// Compares once, then decides on the record as it is after that: a lockout that came meanwhile counts, and the
    /// failure is kept before anybody hears of it (SP-14). Each refusal of a comparison comes with one write, be it of a
    /// record that stays as it is, so that neither how long it takes nor how it fares beside others tells who exists.
    async fn compare_admitted(&self, proof: &Proof) -> Result<Principal, AuthError> {
        let place = self.hasher.admit(proof.from.source)?;
        let found = self.store.principal(&proof.name).await?;
        let compared = found.as_ref().and_then(|principal| secret_of(principal, proof.kind));
        let hash = compared.map(|secret| secret.hash.as_str());
        let verdict = self.hasher.verify(&place, proof.secret.clone(), hash, proof.name.as_str()).await?;
        let Some(compared) = compared else {
            drop(place);
            return self.refuse_unknown(&proof.name).await;
        };
        let rehashed = match verdict.matches && verdict.outdated {
            true => Some(self.hasher.hash(&place, proof.secret.clone()).await?),
            false => None,
        };
        drop(place);
        let source = self.lockout_source(proof);
        for _ in 0..COMMITS {
            // Deleted meanwhile.
            let Some(principal) = self.store.principal(&proof.name).await? else {
                return Err(AuthError::Refused);
            };
            let (now, policy) = (self.clock.now(), self.policy_of(&principal));
            let secret = secret_of(&principal, proof.kind).filter(|secret| is_same_secret(secret, compared));
            let Some(secret) = secret else { return Err(AuthError::Refused) };
            let last = secret.used_at.unwrap_or(secret.set_at);
            let is_inactive = policy.is_inactive(principal.kind, last, now);
            let proven = verdict.matches && !is_inactive && !principal.attempts.is_locked_at(source, now);
            let mut next = principal.clone();
            if proven {
                next.attempts = principal.attempts.proven(source, now);
                if let Some(secret) = secret_mut(&mut next, proof.kind) {
                    let rehashed = rehashed.as_ref().filter(|_| secret.hash == compared.hash);
                    note_use(secret, rehashed, now);
                }
            } else if !verdict.matches && !is_inactive {
                next.attempts = principal.attempts.failed(principal.kind, source, &policy, now);
            }
            if proven && next == principal || self.store.set_principals(vec![next.clone()]).await? {
                return if proven { Ok(next) } else { Err(AuthError::Refused) };
            }
        }
        Err(AuthError::Contended)
    }

    /// Refuses a name that nobody has, or not with such a secret, after the reads and the write of one that somebody has.
    async fn refuse_unknown(&self, name: &PrincipalName) -> Result<Principal, AuthError> {
        let Some(decoy) = self.decoys.of(name) else { return Err(AuthError::Refused) };
        for _ in 0..COMMITS {
            let held = self.store.principal(&decoy).await?;
            let held = held.unwrap_or_else(|| Principal::new(decoy.clone(), PrincipalKind::LogoutProfile));
            if self.store.set_principals(vec![held]).await? {
                return Err(AuthError::Refused);
            }
        }
        Err(AuthError::Contended)
    }

    /// The place whose failures are counted apart, if that is wanted.
    fn lockout_source(&self, proof: &Proof) -> Option<IpAddr> {
        proof.from.source.filter(|_| self.config.throttle.lockout_spares_known_sources)
    }
}

/// Why a principal must change his secret before he uses it (SP-14).
pub(crate) fn must_change(
    principal: &Principal,
    kind: SecretKind,
    policy: &CredentialPolicy,
    now: Timestamp,
) -> Option<MustChange> {
    let secret = secret_of(principal, kind)?;
    if secret.must_change {
        let is_first = secret.history.is_empty();
        return Some(if is_first { MustChange::Initial } else { MustChange::Administrator });
    }
    let expires_at = policy.expires_at(principal.kind, secret.set_at);
    expires_at.filter(|at| *at <= now).map(|_| MustChange::Expired)
}

/// Whether a record is of the secret that was compared, be it hashed anew by another proof meanwhile. A secret that is set
/// at the same instant has the one before it in its history.
pub(crate) fn is_same_secret(secret: &SecretRecord, compared: &SecretRecord) -> bool {
    secret.hash == compared.hash || (secret.set_at == compared.set_at && secret.history == compared.history)
}

/// Writes down that the secret was proven, at most once a day, and its new hash.
fn note_use(secret: &mut SecretRecord, rehashed: Option<&String>, now: Timestamp) {
    let due = |last: Timestamp| last.checked_add(USE_IS_WRITTEN_EVERY).is_ok_and(|due| due <= now);
    if secret.used_at.is_none_or(due) {
        secret.used_at = Some(now);
    }
    if let Some(hash) = rehashed {
        secret.hash.clone_from(hash);
    }
}

fn is_refused<T>(answer: &Result<T, AuthError>) -> bool {
    matches!(answer, Err(AuthError::Refused))
}

pub(crate) fn secret_of(principal: &Principal, kind: SecretKind) -> Option<&SecretRecord> {
    match kind {
        SecretKind::Pin => principal.pin.as_ref(),
        SecretKind::Password => principal.password.as_ref(),
    }
}

fn secret_mut(principal: &mut Principal, kind: SecretKind) -> Option<&mut SecretRecord> {
    match kind {
        SecretKind::Pin => principal.pin.as_mut(),
        SecretKind::Password => principal.password.as_mut(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roamline_serve::{Clock, Ids};
    use roamline_store::memory::MemoryStore;
    use tokio::time::Instant;

    use super::*;
    use crate::credentials::Wanted;
    use crate::{Auth, AuthConfig, HashingConfig};

    fn proof(name: &str, pin: &str) -> Proof {
        Proof {
            name: name.parse().unwrap(),
            kind: SecretKind::Pin,
            secret: SecretString::from(pin),
            from: Origin::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn li_2_every_refusal_takes_the_same_time() {
        let hashing = HashingConfig { memory_kib: 64, passes: 1, ..Default::default() };
        let config = AuthConfig { hashing, ..Default::default() };
        let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
        let store = Arc::new(MemoryStore::new());
        let auth = Auth::build(&config, store, &"test".parse().unwrap(), clock, Ids::new()).await.unwrap();
        let agent = Wanted {
            name: "agent7".parse().unwrap(),
            kind: PrincipalKind::User,
            roles: Default::default(),
            secret_kind: SecretKind::Pin,
            secret: SecretString::from("12345"),
            must_change: false,
        };
        auth.0.set_credentials(vec![agent], false).await.unwrap();

        let wrong =
            [("nobody", "12345"), ("agent7", "1"), ("agent7", "2"), ("agent7", "3"), ("agent7", "12345")];
        for (name, pin) in wrong {
            let began = Instant::now();
            assert!(matches!(auth.0.prove(&proof(name, pin)).await, Err(AuthError::Refused)));
            assert_eq!(began.elapsed(), Duration::from_millis(100), "{name} {pin}");
            let began = Instant::now();
            assert!(matches!(auth.0.verify_at_once(&proof(name, pin)).await, Err(AuthError::Refused)));
            assert_eq!(began.elapsed(), Duration::ZERO, "another service makes it even");
        }
    }
}
