//! What an auth service does by the clock: it takes note of revocations and keys of other replicas, makes the next key the
//! current one when it is time, and drops what has expired.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::Violations;
use roamline_serve::Tasks;
use roamline_serve::inventory::SIGNING_KEY_DUE;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Service;
use crate::error::{AuthError, BuildError};
use crate::keys::{Rotated, Rotation};

/// Between two looks at revocations, so that they are known well within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long the store may take over revocations, and over keys; a look that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Looks between two at the keys.
const KEYS_EVERY: u32 = 3;
/// Looks between two clearances: ten minutes.
const TRIM_EVERY: u32 = 1_500;
/// How long a clearance may take: no revocation is heard of meanwhile.
const TRIM_WITHIN: Duration = Duration::from_millis(1_000);
/// Looks that fail one after the other before that is told.
const TOLD_AFTER: u32 = 5;

/// Works until the process stops.
pub(crate) async fn run(service: Arc<Service>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut failed) = (0_u32, 0_u32);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        match service.look(looks).await {
            Ok(()) => failed = 0,
            Err(error) => {
                failed = failed.saturating_add(1);
                if failed == TOLD_AFTER {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(
                        cause,
                        "revocations and signing keys cannot be read; those last known hold"
                    );
                }
            }
        }
        looks = looks.wrapping_add(1);
    }
}

impl Service {
    async fn look(&self, looks: u32) -> Result<(), AuthError> {
        let caught_up = in_time(self.catch_up()).await;
        let keys = match looks.is_multiple_of(KEYS_EVERY) {
            true => in_time(self.look_after_keys()).await,
            false => Ok(()),
        };
        if looks.is_multiple_of(TRIM_EVERY) {
            let trimmed = timeout(TRIM_WITHIN, self.store.trim_tokens(self.clock.now())).await;
            match trimmed {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(cause, "tokens that have expired were not dropped");
                }
                Err(_) => tracing::warn!("tokens that have expired were not dropped in time"),
            }
        }
        caught_up.and(keys)
    }

    /// Takes the keys as they are, and rotates them if that is due, or if the current one is revoked: a rotation was not
    /// finished then, and as long as that key signs nobody is believed. Of all replicas one does.
    pub(crate) async fn look_after_keys(&self) -> Result<(), AuthError> {
        let done = self.look_at_keys().await;
        SIGNING_KEY_DUE.set(self.next_key_due().map_or(0, Timestamp::as_second));
        self.refresh_verifiers().await;
        done
    }

    fn next_key_due(&self) -> Option<Timestamp> {
        self.keys.due_at(self.config.tokens.key_lives_for)
    }

    async fn look_at_keys(&self) -> Result<(), AuthError> {
        match self.keys.reload(&*self.store).await {
            Err(error @ BuildError::KeyFile(..)) => {
                self.tell_of_files(error.to_string());
                return Ok(());
            }
            reloaded => reloaded.map_err(keys_failed)?,
        }
        self.tell_of_files(String::new());
        if self.keys.are_in_files() {
            return Ok(());
        }
        let now = self.clock.now();
        self.keys.drop_old(&*self.store, self.tokens_live_for(), now).await.map_err(keys_failed)?;
        let current = self.keys.current().map_err(keys_failed)?;
        let compromised = self.revocations.refuse_key(&current);
        if compromised || self.next_key_due().is_some_and(|due| due <= now) {
            let rotation = Rotation { now, previous_for: self.tokens_live_for(), compromised };
            let rotated = self.keys.rotate(&*self.store, &current, rotation, &self.ids).await;
            let rotated = rotated.map_err(keys_failed)?;
            if let Some(Rotated { current, .. }) = rotated {
                tracing::info!(
                    kid = current,
                    compromised,
                    "the next key signs tokens now, as the one before it is old or revoked"
                );
            }
        }
        Ok(())
    }

    /// Says once what is wrong with the files of keys; nothing where nothing is.
    fn tell_of_files(&self, wrong: String) {
        let mut told = self.files_told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != wrong {
            match wrong.as_str() {
                "" => tracing::info!("the files with the signing keys can be used again"),
                wrong => tracing::error!(error = wrong, "the signing keys stay as they were"),
            }
            *told = wrong;
        }
    }

    /// Has the verifiers of this process believe the keys that are published now, and no others.
    async fn refresh_verifiers(&self) {
        let verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for verifier in verifiers {
            verifier.refresh().await;
        }
    }

    /// Refuses the current key of the files; the next one of them signs then.
    async fn refuse_key_file(&self, compromised: bool) -> Result<Rotated, AuthError> {
        let Rotated { current, next } = self.keys.held().map_err(keys_failed)?;
        let wrong = match (compromised, next.is_empty()) {
            (false, _) => {
                "must be true: keys are in files, and the next one signs when it is the first of them"
            }
            (true, true) => "must be false: there is no other key in auth.tokens.key_files",
            (true, false) => "",
        };
        if !wrong.is_empty() {
            let mut wrongs = Violations::new();
            wrongs.add("compromised", "", wrong);
            return Err(AuthError::Malformed(wrongs));
        }
        self.revoke_key(&current).await?;
        self.keys.reload(&*self.store).await.map_err(keys_failed)?;
        self.refresh_verifiers().await;
        self.keys.held().map_err(keys_failed)
    }

    /// Rotates the keys before it is time. What a compromised one has signed is refused before anything else is done; where
    /// the rotation fails after that, [`Service::look_after_keys`] of any replica does it.
    pub(crate) async fn rotate_keys(&self, compromised: bool) -> Result<Rotated, AuthError> {
        self.keys.reload(&*self.store).await.map_err(keys_failed)?;
        let previous = self.keys.current().map_err(keys_failed)?;
        if self.keys.are_in_files() {
            return self.refuse_key_file(compromised).await;
        }
        if compromised {
            self.revoke_key(&previous).await?;
        }
        let rotation = Rotation { now: self.clock.now(), previous_for: self.tokens_live_for(), compromised };
        let rotated = self.keys.rotate(&*self.store, &previous, rotation, &self.ids).await;
        let rotated = rotated.map_err(keys_failed)?;
        let rotated = match rotated {
            Some(rotated) => rotated,
            // A look was faster, and has done what is wanted.
            None if compromised => {
                let held = self.keys.held().map_err(keys_failed)?;
                if held.current == previous {
                    return Err(AuthError::Contended);
                }
                held
            }
            // Another replica was faster: the key that the caller wanted to be rid of may be the current one no more.
            None => return Err(AuthError::Contended),
        };
        self.refresh_verifiers().await;
        tracing::warn!(previous, current = rotated.current, compromised, "signing keys rotated");
        Ok(rotated)
    }
}

async fn in_time(work: impl Future<Output = Result<(), AuthError>>) -> Result<(), AuthError> {
    timeout(ANSWER_WITHIN, work).await.unwrap_or(Err(AuthError::Fault("the store has not answered in time")))
}

fn keys_failed(error: BuildError) -> AuthError {
    match error {
        BuildError::Store(error) => AuthError::Store(error),
        error => {
            tracing::error!(cause = &error as &dyn std::error::Error, "signing keys cannot be used");
            AuthError::Fault("signing keys cannot be used")
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use roamline_proto::auth::PrincipalKind;
    use roamline_serve::{Clock, Ids};
    use roamline_store::memory::MemoryStore;
    use roamline_token::TokenError;

    use super::*;
    use crate::{Auth, AuthConfig};

    async fn build(config: &AuthConfig, clock: &Clock) -> Auth {
        let (store, cluster) = (Arc::new(MemoryStore::new()), "test".parse().unwrap());
        Auth::build(config, store, &cluster, clock.clone(), Ids::new()).await.unwrap()
    }

    fn kids(auth: &Auth) -> Vec<String> {
        auth.0.keys.published().into_iter().map(|key| key.kid).collect()
    }

    #[tokio::test]
    async fn a_file_that_has_become_bad_leaves_the_keys_as_they_were_until_it_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = ["one.pem", "two.pem"].map(|name| folder.path().join(name)).into();
        let write = |file| std::fs::write(file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        files.iter().for_each(write);
        let mut config = AuthConfig::default();
        config.tokens.key_files.clone_from(&files);
        let auth = build(&config, &Clock::manual(Timestamp::UNIX_EPOCH).0).await;
        let before = kids(&auth);

        write(&files[0]);
        std::fs::write(&files[1], "half a key").unwrap();
        auth.0.look_after_keys().await.unwrap();
        assert_eq!(kids(&auth), before, "neither of them is taken");
        assert_eq!(auth.signer().public_key().kid, before[0]);
        let told = auth.0.files_told.lock().unwrap().clone();
        assert!(told.contains("two.pem: has no private key"), "{told}");

        write(&files[1]);
        auth.0.look_after_keys().await.unwrap();
        let after = kids(&auth);
        assert!(after.iter().all(|kid| !before.contains(kid)));
        assert_eq!(auth.signer().public_key().kid, after[0]);
        assert_eq!(*auth.0.files_told.lock().unwrap(), "");
    }

    #[tokio::test]
    async fn it_is_told_when_the_next_key_is_due_and_that_keys_in_files_never_are() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut config = AuthConfig::default();
        let auth = build(&config, &clock).await;
        let month = config.tokens.key_lives_for;
        assert_eq!(auth.0.next_key_due(), Timestamp::UNIX_EPOCH.checked_add(month).ok());
        hand.advance(month);
        let before = kids(&auth);
        auth.0.look_after_keys().await.unwrap();
        assert_eq!(auth.signer().public_key().kid, before[1], "the next one signs when it is due");
        assert_eq!(auth.0.next_key_due(), clock.now().checked_add(month).ok());

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        config.tokens.key_files = vec![file];
        assert_eq!(build(&config, &clock).await.0.next_key_due(), None);
    }

    #[tokio::test]
    async fn a_key_whose_tokens_have_expired_leaves_this_processs_own_verifier_at_once() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let auth = build(&AuthConfig::default(), &clock).await;
        let verifier = auth.verifier();
        // Longer than any that is given, so that only its key can be why it is not believed.
        let long = Duration::from_secs(7 * 24 * 3600);
        let (admin, kind) = ("admin", PrincipalKind::Administrator);
        let token = auth.signer().sign(admin, kind, &[], clock.now(), long).unwrap().token;
        let rotated = auth.0.rotate_keys(false).await.unwrap();
        verifier.verify(&token, clock.now()).await.unwrap();
        assert_eq!(kids(&auth).len(), 3);

        hand.advance(auth.0.tokens_live_for());
        auth.0.look_after_keys().await.unwrap();
        assert_eq!(kids(&auth), [rotated.current, rotated.next]);
        let judged = verifier.verify(&token, clock.now()).await.map(|_| ());
        assert_eq!(judged, Err(TokenError::Untrusted));
    }
}
