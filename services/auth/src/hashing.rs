//! Argon2id on threads of its own: a set number at once, a set number waiting, and everybody else is told when to come
//! back. Sources take turns.

mod queue;
mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use roamline_serve::inventory::{HASHING_SHED, HASHING_WAIT, HASHING_WAITING};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::config::HashingConfig;
use crate::error::BuildError;
use queue::Queue;
use worker::Memory;

/// Parameters of a stored hash beyond these are damage, not caution: 1 GiB, 64 passes, 64 lanes.
const MOST: (u32, u32, u32) = (1 << 20, 64, 64);
/// The most that can wait; more is no caution but a mistake.
const MOST_PLACES: usize = 1 << 20;
/// The soonest and the latest that anybody is told to come back.
const COME_BACK_AFTER: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A place among those at work and those that wait.
pub(crate) type Place = queue::Place<Memory>;

/// A secret that was not hashed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// Too many wait already; when there will be places.
    #[error("too many secrets wait to be hashed")]
    Busy(Duration),
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
    queue: Queue<Memory>,
    concurrency: usize,
    /// What is compared with where there is no hash, so that the work is the same.
    dummy: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    verifications: AtomicU64,
    /// How long a hash takes, in microseconds: the mean of the last ones.
    takes: AtomicU64,
}

impl Hasher {
    pub(crate) async fn new(config: &HashingConfig) -> Result<Self, BuildError> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(BuildError::Parameters)?;
        let concurrency = concurrency(config.concurrency);
        let queue = Queue::new(concurrency + config.waiting.min(MOST_PLACES));
        let mut hasher = Self { params, queue, concurrency, dummy: String::new(), counts: Arc::default() };
        for _ in 0..concurrency {
            worker::start(hasher.queue.clone(), &hasher.params).map_err(BuildError::Hashing)?;
        }
        let place = hasher.admit(None).map_err(BuildError::Hashing)?;
        let dummy = hasher.hash(&place, SecretString::from("nobody's")).await;
        hasher.dummy = dummy.map_err(BuildError::Hashing)?;
        Ok(hasher)
    }

    /// Hashes at once.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn verifications(&self) -> u64 {
        self.counts.verifications.load(Ordering::Relaxed)
    }

    /// A place for a request that came from there. One is enough for all hashes of a request.
    pub(crate) fn admit(&self, source: Option<IpAddr>) -> Result<Place, HashingError> {
        self.queue.take(source).ok_or_else(|| {
            HASHING_SHED.add(1, &[]);
            HashingError::Busy(self.come_back_after(fraction()))
        })
    }

    /// When all that wait now are served, and up to twice that, so that those who were sent away do not come back at
    /// once.
    fn come_back_after(&self, fraction: f64) -> Duration {
        let takes = Duration::from_micros(self.counts.takes.load(Ordering::Relaxed));
        let turns = self.queue.taken().div_ceil(self.concurrency.max(1));
        let (soonest, latest) = COME_BACK_AFTER;
        let wait = takes.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX)).clamp(soonest, latest);
        wait.mul_f64(1.0 + fraction)
    }

    /// The PHC string of a new hash, with salt of its own.
    pub(crate) async fn hash(&self, place: &Place, secret: SecretString) -> Result<String, HashingError> {
        let (params, counts) = (self.params.clone(), Arc::clone(&self.counts));
        self.work(place, move |memory| {
            let began = Instant::now();
            let salt = Salt::generate();
            let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
            memory.hash(&params, secret.expose_secret().as_bytes(), &salt, &mut out)?;
            counts.took(began.elapsed());
            phc(&params, salt, &out).ok_or(HashingError::Failed)
        })
        .await
    }

    /// Compares a secret with a hash, or with the dummy if there is none; either way it is exactly one comparison, and
    /// one with the dummy never matches. A hash that cannot be read is logged as `whose`.
    pub(crate) async fn verify(
        &self,
        place: &Place,
        secret: SecretString,
        against: Option<&str>,
        whose: &str,
    ) -> Result<Verdict, HashingError> {
        let stored = against.and_then(|hash| {
            let stored = Stored::read(hash);
            if stored.is_none() {
                tracing::error!(name = whose, "the stored hash is corrupt: the credential must be set anew");
            }
            stored
        });
        let is_real = stored.is_some();
        let stored = stored.or_else(|| Stored::read(&self.dummy)).ok_or(HashingError::Failed)?;
        let outdated = costs(&stored.params) != costs(&self.params);
        let counts = Arc::clone(&self.counts);
        self.work(place, move |memory| {
            counts.verifications.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            let matches = stored.is_of(&secret, memory)?;
            if !outdated {
                counts.took(began.elapsed());
            }
            Ok(Verdict { matches: matches && is_real, outdated })
        })
        .await
    }

    /// Runs on a hashing thread when it is its turn; not at all if the request that wanted it has gone. The place is
    /// held until then.
    async fn work<T: Send + 'static>(
        &self,
        place: &Place,
        work: impl FnOnce(&mut Memory) -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let (answer, answered) = oneshot::channel();
        let (held, waiting) = (place.clone(), Waiting::begin());
        place.put(Box::new(move |memory| {
            waiting.end();
            let done = (!answer.is_closed()).then(|| work(memory));
            // Free before anybody hears of it: who asks again at once finds the place.
            drop(held);
            if let Some(done) = done {
                let _gone = answer.send(done);
            }
        }));
        answered.await.map_err(|_| HashingError::Failed)?
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Work that waits for its turn, or is dropped before.
struct Waiting(Instant);

impl Waiting {
    fn begin() -> Self {
        HASHING_WAITING.add(1, &[]);
        Self(Instant::now())
    }

    /// It is its turn.
    fn end(self) {
        HASHING_WAIT.record(self.0.elapsed().as_secs_f64(), &[]);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        HASHING_WAITING.add(-1, &[]);
    }
}

impl Counts {
    /// The mean moves by an eighth of the difference.
    fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let before = self.takes.load(Ordering::Relaxed);
        let mean = if before == 0 { time } else { before - before / 8 + time / 8 };
        self.takes.store(mean, Ordering::Relaxed);
    }
}

/// A hash as it is stored.
struct Stored {
    params: Params,
    salt: Salt,
    hash: Output,
}

impl Stored {
    /// None where it cannot be compared with.
    fn read(hash: &str) -> Option<Self> {
        let hash = PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let (memory, passes, lanes) = costs(&params);
        let sane = memory <= MOST.0 && passes <= MOST.1 && lanes <= MOST.2;
        let ours = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version.is_none_or(|version| version == u32::from(Version::V0x13));
        (ours && sane).then_some(Self { params, salt: hash.salt?, hash: hash.hash? })
    }

    /// In a time that tells nothing of where they differ.
    fn is_of(&self, secret: &SecretString, memory: &mut Memory) -> Result<bool, HashingError> {
        let mut out = [0; Output::MAX_LENGTH];
        let out = out.get_mut(..self.hash.len()).ok_or(HashingError::Failed)?;
        memory.hash(&self.params, secret.expose_secret().as_bytes(), &self.salt, out)?;
        Ok(Output::new(out).is_ok_and(|out| out == self.hash))
    }
}

fn phc(params: &Params, salt: Salt, hash: &[u8]) -> Option<String> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).ok()?,
        salt: Some(salt),
        hash: Some(Output::new(hash).ok()?),
    };
    Some(hash.to_string())
}

fn costs(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

/// Hashing threads: as many as asked for; by itself one for each processor, but for one where they cannot give way.
fn concurrency(asked: usize) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let own = if worker::GIVES_WAY { processors() } else { processors().saturating_sub(1).max(1) };
    if asked == 0 { own } else { asked.min(1_024) }
}

/// Something between 0 and 1.
fn fraction() -> f64 {
    let mut byte = [0_u8; 1];
    let random = aws_lc_rs::rand::fill(&mut byte);
    random.map_or(0.5, |()| f64::from(byte[0]) / 256.0)
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
        let place = hasher.admit(None).unwrap();
        let hash = hasher.hash(&place, secret("12345")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        let right = hasher.verify(&place, secret("12345"), Some(&hash), "me").await.unwrap();
        assert_eq!(right, Verdict { matches: true, outdated: false });
        assert!(!hasher.verify(&place, secret("12346"), Some(&hash), "me").await.unwrap().matches);
        assert!(!hasher.verify(&place, secret("nobody's"), None, "me").await.unwrap().matches);
        assert_eq!(hasher.verifications(), 3);
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_outdated() {
        let old = Hasher::new(&config()).await.unwrap();
        let new = Hasher::new(&HashingConfig { passes: 2, ..config() }).await.unwrap();
        let hash = old.hash(&old.admit(None).unwrap(), secret("12345")).await.unwrap();
        let place = new.admit(None).unwrap();
        let verdict = new.verify(&place, secret("12345"), Some(&hash), "me").await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, outdated: true });
    }

    #[tokio::test]
    async fn a_corrupt_hash_matches_nothing_and_costs_one_comparison() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let place = hasher.admit(None).unwrap();
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
            let verdict = hasher.verify(&place, secret("12345"), Some(hash), "me").await;
            assert!(!verdict.unwrap().matches, "{hash}");
        }
        assert_eq!(hasher.verifications(), broken.len() as u64);
    }

    #[tokio::test]
    async fn what_another_library_made_is_read() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let place = hasher.admit(None).unwrap();
        use argon2::PasswordHasher;
        let argon = argon2::Argon2::from(Params::new(64, 1, 1, None).unwrap());
        let made: PasswordHash = argon.hash_password(b"12345").unwrap();
        let verdict = hasher.verify(&place, secret("12345"), Some(&made.to_string()), "me").await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, outdated: false });
        let ours = hasher.hash(&place, secret("12345")).await.unwrap();
        use argon2::PasswordVerifier;
        assert!(argon.verify_password(b"12345", ours.as_str()).is_ok());
    }

    #[tokio::test]
    async fn whoever_finds_no_place_is_told_when_there_will_be_one() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let (_working, _waiting) = (hasher.admit(None).unwrap(), hasher.admit(None).unwrap());
        assert!(matches!(hasher.admit(None), Err(HashingError::Busy(wait)) if !wait.is_zero()));
        hasher.counts.takes.store(1_000_000, Ordering::Relaxed);
        assert_eq!(hasher.come_back_after(0.0), Duration::from_secs(2), "two turns of a second");
        assert_eq!(hasher.come_back_after(0.5), Duration::from_secs(3));
        hasher.counts.takes.store(1_000_000_000, Ordering::Relaxed);
        assert_eq!(hasher.come_back_after(0.0), COME_BACK_AFTER.1);
        hasher.counts.takes.store(0, Ordering::Relaxed);
        assert_eq!(hasher.come_back_after(0.0), COME_BACK_AFTER.0);
    }

    #[tokio::test]
    async fn a_request_that_has_gone_is_not_hashed_for() {
        let hasher = Hasher::new(&config()).await.unwrap();
        let place = hasher.admit(None).unwrap();
        let (begin, may_begin) = std::sync::mpsc::channel::<()>();
        place.put(Box::new(move |_| may_begin.recv().unwrap()));
        let gone = hasher.verify(&place, secret("12345"), None, "me");
        let within = Duration::from_millis(1);
        assert!(tokio::time::timeout(within, gone).await.is_err());
        begin.send(()).unwrap();
        hasher.hash(&place, secret("12345")).await.unwrap();
        assert_eq!(hasher.verifications(), 0);
    }
}
