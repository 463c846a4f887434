//! Argon2id on blocking threads: a set number at once, a set number waiting, and everybody else is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::HashingConfig;
use crate::error::BuildError;

/// Parameters of a stored hash beyond these are damage, not caution: 1 GiB, 64 passes, 64 lanes.
const MOST: (u32, u32, u32) = (1 << 20, 64, 64);

/// A secret that was not hashed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// Too many wait already.
    #[error("too many secrets wait to be hashed")]
    Busy,
    /// Memory, randomness or the thread failed.
    #[error("hashing failed")]
    Failed,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The secret is the one that was hashed.
    pub(crate) matches: bool,
    /// The hash was made with other parameters than those that hold now.
    pub(crate) outdated: bool,
}

pub(crate) struct Hasher {
    params: Params,
    /// Those at work and those that wait.
    admitted: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
    concurrency: usize,
    /// What is compared with where there is no hash, so that the work is the same.
    dummy: String,
    verifications: Arc<AtomicU64>,
}

impl Hasher {
    pub(crate) async fn new(config: &HashingConfig) -> Result<Self, BuildError> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(BuildError::Parameters)?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let concurrency = if config.concurrency == 0 { cores() } else { config.concurrency };
        let concurrency = concurrency.min(Semaphore::MAX_PERMITS / 2);
        let waiting = config.waiting.min(Semaphore::MAX_PERMITS / 2);
        let mut hasher = Self {
            params,
            admitted: Arc::new(Semaphore::new(concurrency + waiting)),
            at_work: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            dummy: String::new(),
            verifications: Arc::default(),
        };
        hasher.dummy = hasher.hash(SecretString::from("nobody's")).await.map_err(BuildError::Hashing)?;
        Ok(hasher)
    }

    /// Hashes at once.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }

    /// A place among those at work and those that wait. One place is enough for all hashes of a request.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, HashingError> {
        Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| HashingError::Busy)
    }

    /// The PHC string of a new hash, with salt of its own.
    pub(crate) async fn hash(&self, secret: SecretString) -> Result<String, HashingError> {
        let argon = argon(&self.params);
        self.work(move || {
            let hash: PasswordHash =
                argon.hash_password(secret.expose_secret().as_bytes()).map_err(|_| HashingError::Failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Compares a secret with a hash, or with the dummy if there is none; either way it is exactly one comparison, and
    /// one with the dummy never matches. A hash that cannot be read is logged as `whose`.
    pub(crate) async fn verify(
        &self,
        secret: SecretString,
        against: Option<String>,
        whose: &str,
    ) -> Result<Verdict, HashingError> {
        let stored = against.and_then(|hash| match readable(&hash) {
            Some(params) => Some((hash, params)),
            None => {
                tracing::error!(name = whose, "the stored hash is corrupt: the credential must be set anew");
                None
            }
        });
        let real = stored.is_some();
        let (hash, params) = stored.unwrap_or_else(|| (self.dummy.clone(), self.params.clone()));
        let outdated = costs(&params) != costs(&self.params);
        let (verifications, argon) = (Arc::clone(&self.verifications), argon(&params));
        self.work(move || {
            verifications.fetch_add(1, Ordering::Relaxed);
            let hash = PasswordHash::new(&hash).map_err(|_| HashingError::Failed)?;
            let matches = argon.verify_password(secret.expose_secret().as_bytes(), &hash).is_ok();
            Ok(Verdict { matches: matches && real, outdated })
        })
        .await
    }

    /// Runs on a blocking thread when it is its turn. The turn lasts until the work is done, also when the request
    /// that wanted it has gone.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let turn = Arc::clone(&self.at_work).acquire_owned().await.map_err(|_| HashingError::Failed)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| HashingError::Failed)?
    }
}

fn argon(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn costs(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

/// The parameters of an argon2id hash that can be compared with.
fn readable(hash: &str) -> Option<Params> {
    let hash = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let (memory, passes, lanes) = costs(&params);
    let sane = memory <= MOST.0 && passes <= MOST.1 && lanes <= MOST.2;
    let whole = hash.salt.is_some() && hash.hash.is_some();
    (hash.algorithm.as_str() == "argon2id" && sane && whole).then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HashingConfig {
        HashingConfig { memory_kib: 64, passes: 1, lanes: 1, concurrency: 1, waiting: 1 }
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_secret_matches_its_own_hash_alone() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let hash = hasher.hash(secret("12345")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        let right = hasher.verify(secret("12345"), Some(hash.clone()), "me").await.unwrap();
        assert_eq!(right, Verdict { matches: true, outdated: false });
        assert!(!hasher.verify(secret("12346"), Some(hash), "me").await.unwrap().matches);
        assert!(!hasher.verify(secret("nobody's"), None, "me").await.unwrap().matches);
        assert_eq!(hasher.verifications(), 3);
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_outdated() {
        let old = Hasher::new(&config()).await.unwrap();
        let new = Hasher::new(&HashingConfig { passes: 2, ..config() }).await.unwrap();
        let hash = old.hash(secret("12345")).await.unwrap();
        let verdict = new.verify(secret("12345"), Some(hash), "me").await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, outdated: true });
    }

    #[tokio::test]
    async fn a_corrupt_hash_matches_nothing_and_costs_one_comparison() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let broken = [
            "",
            "x",
            "$argon2id$",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=16,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        ];
        for hash in broken {
            let verdict = hasher.verify(secret("12345"), Some(hash.into()), "me").await;
            assert!(!verdict.unwrap().matches, "{hash}");
        }
        assert_eq!(hasher.verifications(), broken.len() as u64);
    }

    #[tokio::test]
    async fn whoever_finds_no_place_is_sent_away() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let (_working, _waiting) = (hasher.admit().unwrap(), hasher.admit().unwrap());
        assert_eq!(hasher.admit().unwrap_err(), HashingError::Busy);
    }
}
