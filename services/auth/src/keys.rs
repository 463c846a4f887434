//! The signing keys: the current one signs, the next is published already so that verifiers know it when it does, and a
//! previous one stays published for as long as its tokens are good. They live in the store, so that all replicas sign with
//! the same one; a change is made from the keys that are there, so that of all replicas one makes it. Or they are in files,
//! which the operator changes.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use roamline_proto::auth::JsonWebKey;
use roamline_serve::Ids;
use roamline_store::{KeyRecord, TokenStore};
use roamline_token::{Revocations, Signer, generate_key, public_key};
use secrecy::zeroize::Zeroizing;
use tokio::sync::Mutex;

use crate::error::BuildError;
use crate::key_files;
use crate::sealing::Sealing;

/// A key that was made later than that before is not made the current one by the clock: verifiers look for new keys
/// every 30 s.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How often a change is tried again because another replica made one.
const TRIES: usize = 16;

pub(crate) struct Keys {
    signer: Signer,
    kept: Kept,
    held: ArcSwap<Held>,
    /// One looks at the store at a time, so that what was read first is not held last.
    looking: Mutex<()>,
}

/// Where keys are.
pub(crate) enum Kept {
    /// In the store, encrypted so.
    InStore(Sealing),
    /// In these files; of them, those that are revoked sign no more.
    InFiles(Vec<PathBuf>, Revocations),
}

impl Kept {
    async fn read(&self, store: &dyn TokenStore) -> Result<Vec<KeyRecord>, BuildError> {
        match self {
            Self::InStore(_) => Ok(store.keys().await?),
            Self::InFiles(files, revoked) => key_files::records(files, |kid| revoked.refuse_key(kid)).await,
        }
    }

    fn open(&self, key: &KeyRecord) -> Result<Zeroizing<Vec<u8>>, BuildError> {
        match self {
            Self::InStore(sealing) => Ok(sealing.open(&key.kid, &key.pkcs8).ok_or_else(|| unusable(key))?.0),
            Self::InFiles(..) => Ok(Zeroizing::new(key.pkcs8.clone())),
        }
    }
}

struct Held {
    records: Vec<KeyRecord>,
    published: Vec<JsonWebKey>,
}

/// Why and when keys change.
#[derive(Clone, Copy)]
pub(crate) struct Rotation {
    pub(crate) now: Timestamp,
    /// How long a key that signs no more is published.
    pub(crate) previous_for: Duration,
    /// Whether the current one is not to be published any more.
    pub(crate) compromised: bool,
}

/// What signs after a rotation.
pub(crate) struct Rotated {
    pub(crate) current: String,
    pub(crate) next: String,
}

impl Keys {
    /// The keys of the store; two new ones if it has none. Those that are not encrypted as they should be are, from now on.
    pub(crate) async fn ensure(
        store: &dyn TokenStore,
        issuer: &str,
        kept: Kept,
        now: Timestamp,
        ids: &Ids,
    ) -> Result<Self, BuildError> {
        for _ in 0..TRIES {
            let records = kept.read(store).await?;
            if let Kept::InStore(sealing) = &kept {
                let wanted = wanted(&records, sealing, now, ids)?;
                if wanted != records {
                    store.swap_keys(&records, wanted).await?;
                    continue;
                }
            }
            let held = Held::of(records, &kept)?;
            let current = held.current()?;
            let pkcs8 = kept.open(current)?;
            let signer = Signer::new(issuer, issuer, &current.kid, &pkcs8).map_err(|_| unusable(current))?;
            return Ok(Self { signer, kept, held: ArcSwap::from_pointee(held), looking: Mutex::new(()) });
        }
        Err(BuildError::Key("current".to_owned()))
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The kid of the key that signs.
    pub(crate) fn current(&self) -> Result<String, BuildError> {
        Ok(self.held.load().current()?.kid.clone())
    }

    /// The keys that sign now and next; of files there may be no next one.
    pub(crate) fn held(&self) -> Result<Rotated, BuildError> {
        let held = self.held.load();
        let next = held.records.iter().find(|key| rank(key) == 1).map(|next| next.kid.clone());
        Ok(Rotated { current: held.current()?.kid.clone(), next: next.unwrap_or_default() })
    }

    /// Whether the operator keeps them in files.
    pub(crate) fn are_in_files(&self) -> bool {
        matches!(self.kept, Kept::InFiles(..))
    }

    /// All public keys, the current one first.
    pub(crate) fn published(&self) -> Vec<JsonWebKey> {
        self.held.load().published.clone()
    }

    /// Takes the keys as they are now. Where that fails, those that were taken before stay.
    pub(crate) async fn reload(&self, store: &dyn TokenStore) -> Result<(), BuildError> {
        let _looking = self.looking.lock().await;
        let records = self.kept.read(store).await?;
        if records == self.held.load().records {
            return Ok(());
        }
        let held = Held::of(records, &self.kept)?;
        let current = held.current()?;
        if current.kid != self.signer.public_key().kid {
            let pkcs8 = self.kept.open(current)?;
            self.signer.replace(&current.kid, &pkcs8).map_err(|_| unusable(current))?;
            tracing::info!(kid = current.kid, "another key signs tokens now");
        }
        self.held.store(std::sync::Arc::new(held));
        Ok(())
    }

    /// When the next key is to sign: the current one has done so for that long then, and verifiers know the next one.
    /// `None` where the operator changes them, or there is no next one.
    pub(crate) fn due_at(&self, lives_for: Duration) -> Option<Timestamp> {
        let held = self.held.load();
        let next = held.records.iter().filter(|key| key.signs_from.is_none());
        let made = next.map(|key| key.created_at).min().filter(|_| !self.are_in_files())?;
        let began = held.current().ok()?.signs_from?;
        let (old, known) = (began.checked_add(lives_for), made.checked_add(KNOWN_AFTER));
        Some(old.unwrap_or(Timestamp::MAX).max(known.unwrap_or(Timestamp::MAX)))
    }

    /// Makes the next key the current one in the place of `previous`, if that is the current one still; else takes what
    /// another replica has made of them and returns `None`.
    pub(crate) async fn rotate(
        &self,
        store: &dyn TokenStore,
        previous: &str,
        rotation: Rotation,
        ids: &Ids,
    ) -> Result<Option<Rotated>, BuildError> {
        let held = self.held.load_full();
        let Kept::InStore(sealing) = &self.kept else { return Ok(None) };
        if held.current()?.kid != previous {
            return Ok(None);
        }
        let new = new_key(sealing, rotation.now, ids)?;
        let next = new.kid.clone();
        let records = rotated(&held.records, new, rotation);
        let current = current_of(&records)?.kid.clone();
        let made = store.swap_keys(&held.records, records).await?;
        self.reload(store).await?;
        Ok(made.then_some(Rotated { current, next }))
    }

    /// Publishes keys no more whose tokens have all expired.
    pub(crate) async fn drop_old(
        &self,
        store: &dyn TokenStore,
        previous_for: Duration,
        now: Timestamp,
    ) -> Result<(), BuildError> {
        let held = self.held.load_full();
        let left: Vec<_> =
            held.records.iter().filter(|key| !is_old(key, previous_for, now)).cloned().collect();
        if self.are_in_files() || left.len() == held.records.len() {
            return Ok(());
        }
        store.swap_keys(&held.records, left).await?;
        self.reload(store).await
    }
}

impl Held {
    fn of(records: Vec<KeyRecord>, kept: &Kept) -> Result<Self, BuildError> {
        let mut sorted: Vec<_> = records.iter().collect();
        sorted.sort_by_key(|key| (rank(key), Reverse(key.retired_at)));
        let public = |key: &&KeyRecord| public_key(&key.kid, &kept.open(key)?).map_err(|_| unusable(key));
        let published = sorted.iter().map(public).collect::<Result<_, _>>()?;
        Ok(Self { records, published })
    }

    fn current(&self) -> Result<&KeyRecord, BuildError> {
        current_of(&self.records)
    }
}

fn current_of(records: &[KeyRecord]) -> Result<&KeyRecord, BuildError> {
    let current = records.iter().find(|key| rank(key) == 0);
    current.ok_or_else(|| BuildError::Key("current".to_owned()))
}

/// The current key, the next one, the previous ones.
fn rank(key: &KeyRecord) -> u8 {
    match (key.signs_from, key.retired_at) {
        (_, Some(_)) => 2,
        (Some(_), None) => 0,
        (None, None) => 1,
    }
}

/// What the keys should be at the start of a process: a current and a next one, sealed as the operator wants it. Keys of
/// a store that knew no rotation have no instants: the oldest one has signed.
fn wanted(
    records: &[KeyRecord],
    sealing: &Sealing,
    now: Timestamp,
    ids: &Ids,
) -> Result<Vec<KeyRecord>, BuildError> {
    let mut wanted = records.to_vec();
    if wanted.is_empty() {
        wanted.push(new_key(sealing, now, ids)?);
    }
    if !wanted.iter().any(|key| rank(key) == 0)
        && let Some(oldest) = wanted.iter_mut().find(|key| rank(key) == 1)
    {
        oldest.signs_from = Some(oldest.created_at);
    }
    if !wanted.iter().any(|key| rank(key) == 1) {
        wanted.push(new_key(sealing, now, ids)?);
    }
    for key in &mut wanted {
        let (pkcs8, is_current) = sealing.open(&key.kid, &key.pkcs8).ok_or_else(|| unusable(key))?;
        if !is_current {
            key.pkcs8 = sealing.seal(&key.kid, pkcs8.to_vec()).ok_or(BuildError::Randomness)?;
        }
    }
    Ok(wanted)
}

/// The keys after a rotation: those whose tokens have all expired are gone.
fn rotated(records: &[KeyRecord], new: KeyRecord, rotation: Rotation) -> Vec<KeyRecord> {
    let Rotation { now, previous_for, compromised } = rotation;
    let mut next_signs = false;
    let mut after = Vec::with_capacity(records.len() + 1);
    for key in records {
        let mut key = key.clone();
        match rank(&key) {
            0 if compromised => continue,
            0 => key.retired_at = Some(now),
            1 if !next_signs => {
                key.signs_from = Some(now);
                next_signs = true;
            }
            1 => {}
            _ if is_old(&key, previous_for, now) => continue,
            _ => {}
        }
        after.push(key);
    }
    after.push(new);
    after
}

/// Whether whatever it has signed has expired.
fn is_old(key: &KeyRecord, previous_for: Duration, now: Timestamp) -> bool {
    key.retired_at.is_some_and(|at| now.duration_since(at).unsigned_abs() >= previous_for && now > at)
}

fn new_key(sealing: &Sealing, now: Timestamp, ids: &Ids) -> Result<KeyRecord, BuildError> {
    let (kid, pkcs8) = (ids.opaque(), generate_key().map_err(|_| BuildError::Randomness)?);
    let pkcs8 = sealing.seal(&kid, pkcs8).ok_or(BuildError::Randomness)?;
    Ok(KeyRecord { kid, pkcs8, created_at: now, signs_from: None, retired_at: None })
}

fn unusable(key: &KeyRecord) -> BuildError {
    BuildError::Key(key.kid.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn key(kid: &str, created: i64, signs_from: Option<i64>, retired: Option<i64>) -> KeyRecord {
        KeyRecord {
            kid: kid.into(),
            pkcs8: Vec::new(),
            created_at: at(created),
            signs_from: signs_from.map(at),
            retired_at: retired.map(at),
        }
    }

    #[test]
    fn the_next_key_signs_and_previous_ones_go_when_their_tokens_have_expired() {
        let before = [key("p", 0, Some(0), Some(50)), key("c", 1, Some(50), None), key("n", 2, None, None)];
        let new = key("m", 100, None, None);
        let rotation =
            |now, compromised| Rotation { now: at(now), previous_for: Duration::from_secs(60), compromised };
        let made = rotated(&before, new.clone(), rotation(100, false));
        let current = key("n", 2, Some(100), None);
        let retired = key("c", 1, Some(50), Some(100));
        assert_eq!(made, [before[0].clone(), retired.clone(), current.clone(), new.clone()]);
        assert_eq!(rotated(&before, new.clone(), rotation(110, false)).len(), 3, "p is gone");
        let made = rotated(&before, new.clone(), rotation(110, true));
        assert_eq!(made, [key("n", 2, Some(110), None), new]);
    }
}
