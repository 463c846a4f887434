//! Proof of who somebody is: one comparison, one count, one answer.

use roamline_domain::PrincipalName;
use roamline_domain::credential::{Attempts, SecretKind};
use roamline_serve::at_even_times;
use roamline_store::{Principal, SecretRecord};
use roamline_token::{SignedToken, scopes_of};
use secrecy::SecretString;

use crate::Service;
use crate::convert::kind_to_proto;
use crate::error::AuthError;

/// Who somebody says he is, and what he proves it with.
pub(crate) struct Proof {
    pub(crate) name: PrincipalName,
    pub(crate) kind: SecretKind,
    pub(crate) secret: SecretString,
}

/// How often a commit is tried again because somebody else changed the same principal meanwhile.
pub(crate) const COMMITS: usize = 64;

impl Service {
    /// A token for somebody who proves who he is.
    pub(crate) async fn sign_in(&self, proof: &Proof) -> Result<(Principal, SignedToken), AuthError> {
        let principal = self.verify(proof).await?;
        let kind = kind_to_proto(principal.kind);
        let token = self
            .keys
            .signer()
            .sign(
                principal.name.as_str(),
                kind,
                scopes_of(kind),
                self.clock.now(),
                self.config.token_lives_for,
            )
            .map_err(|_| AuthError::Fault("a token cannot be signed"))?;
        Ok((principal, token))
    }

    /// The principal who proves who he is, if his credential may be used as it is.
    pub(crate) async fn verify(&self, proof: &Proof) -> Result<Principal, AuthError> {
        let principal = self.prove(proof).await?;
        match secret_of(&principal, proof.kind) {
            Some(secret) if secret.must_change => Err(AuthError::MustChange),
            _ => Ok(principal),
        }
    }

    /// The principal who proves who he is. A refusal comes at an instant that does not tell its cause.
    pub(crate) async fn prove(&self, proof: &Proof) -> Result<Principal, AuthError> {
        at_even_times(self.config.refusals_every, self.compare(proof), is_refused).await
    }

    /// Compares once, then decides on the record as it is after that: a lockout that came meanwhile counts, and the
    /// failure is kept before anybody hears of it (SP-14).
    async fn compare(&self, proof: &Proof) -> Result<Principal, AuthError> {
        let _place = self.hasher.admit()?;
        let found = self.store.principal(&proof.name).await?;
        let hash = found.as_ref().and_then(|p| secret_of(p, proof.kind)).map(|secret| secret.hash.clone());
        let verdict = self.hasher.verify(proof.secret.clone(), hash.clone(), proof.name.as_str()).await?;
        let Some(hash) = hash else { return Err(AuthError::Refused) };
        let rehashed = match verdict.matches && verdict.outdated {
            true => Some(self.hasher.hash(proof.secret.clone()).await?),
            false => None,
        };
        for _ in 0..COMMITS {
            let Some(principal) = self.store.principal(&proof.name).await? else { break };
            let now = self.clock.now();
            let same = secret_of(&principal, proof.kind).is_some_and(|secret| secret.hash == hash);
            if !same || principal.attempts.is_locked(now) {
                return Err(AuthError::Refused);
            }
            let mut next = principal.clone();
            if verdict.matches {
                next.attempts = Attempts::default();
                if let (Some(secret), Some(hash)) = (secret_mut(&mut next, proof.kind), &rehashed) {
                    secret.hash.clone_from(hash);
                }
            } else {
                next.attempts = principal.attempts.failed(principal.kind, &self.policy.load(), now);
            }
            if next == principal || self.store.set_principals(vec![next.clone()]).await? {
                return if verdict.matches { Ok(next) } else { Err(AuthError::Refused) };
            }
        }
        Err(AuthError::Contended)
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

pub(crate) fn secret_mut(principal: &mut Principal, kind: SecretKind) -> Option<&mut SecretRecord> {
    match kind {
        SecretKind::Pin => principal.pin.as_mut(),
        SecretKind::Password => principal.password.as_mut(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use roamline_domain::credential::PrincipalKind;
    use roamline_serve::{Clock, Ids};
    use roamline_store::memory::MemoryStore;
    use tokio::time::Instant;

    use super::*;
    use crate::credentials::Wanted;
    use crate::{Auth, AuthConfig, HashingConfig};

    fn proof(name: &str, pin: &str) -> Proof {
        Proof { name: name.parse().unwrap(), kind: SecretKind::Pin, secret: SecretString::from(pin) }
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
        }
    }
}
