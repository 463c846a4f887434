//! The directory as it is read over and over: what was read is kept in memory, and given again for as long as the
//! directory has not changed. Whether it has is asked of the store at every read, so that a change is seen at once by
//! every process; those who ask at the same time share one answer. Who can do with what was true a moment ago takes the
//! last answer, unless this process itself has changed something since.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use roamline_domain::directory::{Claim, Key, Kind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Change, DirectoryError, DirectoryStore, ListQuery, StoreError, Stored};

/// Resources kept, and names under which there is none: some 50 MB at most, as resources are.
const KEPT: usize = 50_000;
/// Who asks for more at once reads them all of the store, and leaves what is kept alone.
const MOST: usize = 500;
/// How often a read is begun anew because the directory has changed in the middle of it.
const ROUNDS: usize = 3;
/// How old an answer may be where what was true a moment ago will do (SP-21 asks for 2 s).
const LATELY: Duration = Duration::from_millis(100);

/// A directory that recalls what was found in it.
pub struct Recall {
    store: Arc<dyn DirectoryStore>,
    kept: Cache<Key, Kept>,
    /// How many have asked for the revision.
    asked: AtomicU64,
    looked: Mutex<Looked>,
}

/// What stands under a key, shared by all who have found it.
pub type Found = Option<Arc<Stored>>;

/// What was found under a key.
#[derive(Clone)]
struct Kept {
    /// In which revision of the directory.
    revision: u64,
    found: Found,
}

/// The last look at the revision.
#[derive(Default)]
struct Looked {
    revision: u64,
    /// How many had asked when it began: it answers them all.
    answers: u64,
    /// When it began; none after a change by this process.
    at: Option<Instant>,
}

impl Recall {
    /// What that store holds.
    pub fn new(store: Arc<dyn DirectoryStore>) -> Self {
        Self { store, kept: Cache::new(KEPT), asked: AtomicU64::new(0), looked: Mutex::default() }
    }

    /// The revision at an instant after the call.
    async fn revision_now(&self) -> Result<u64, StoreError> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut looked = self.looked.lock().await;
        if looked.answers <= own {
            let (answers, at) = (self.asked.load(Ordering::SeqCst), Some(Instant::now()));
            let revision = self.store.revision().await?;
            *looked = Looked { revision, answers, at };
        }
        Ok(looked.revision)
    }

    /// The revision at an instant that is not long ago, and after every change that this process has made.
    async fn revision_lately(&self) -> Result<u64, StoreError> {
        let looked = self.looked.lock().await;
        match looked.at {
            Some(at) if at.elapsed() < LATELY => Ok(looked.revision),
            _ => {
                drop(looked);
                self.revision_now().await
            }
        }
    }

    /// Like [`DirectoryStore::find`], as of an instant that is at most 100 ms ago and after every change that was made
    /// through this process: for what follows the directory, not for what changes it.
    ///
    /// # Errors
    /// As [`DirectoryStore::find`].
    pub async fn find_lately(&self, keys: &[Key]) -> Result<Vec<Found>, StoreError> {
        let revision = self.revision_lately().await?;
        self.find_from(keys, revision).await
    }

    /// To be called when this process has changed the directory in another way than by [`DirectoryStore::commit`].
    pub async fn changed(&self) {
        self.looked.lock().await.at = None;
    }

    /// What stands under these keys in that revision, or in a later one.
    async fn find_from(&self, keys: &[Key], mut revision: u64) -> Result<Vec<Found>, StoreError> {
        for _ in 0..ROUNDS {
            if keys.len() > MOST {
                break;
            }
            let known: Vec<Option<Found>> = keys.iter().map(|key| self.recall(key, revision)).collect();
            let missing: Vec<Key> = keys
                .iter()
                .zip(&known)
                .filter(|(_, known)| known.is_none())
                .map(|(key, _)| key.clone())
                .collect();
            if missing.is_empty() {
                return Ok(known.into_iter().map(Option::flatten).collect());
            }
            let read = self.store.find(&missing).await?;
            let now = self.revision_now().await?;
            if now != revision {
                revision = now;
                continue;
            }
            let read: Vec<Found> = read.into_iter().map(|found| found.map(Arc::new)).collect();
            for (key, found) in missing.into_iter().zip(&read) {
                self.kept.insert(key, Kept { revision, found: found.clone() });
            }
            let mut read = read.into_iter();
            return Ok(known.into_iter().map(|known| known.or_else(|| read.next()).flatten()).collect());
        }
        Ok(self.store.find(keys).await?.into_iter().map(|found| found.map(Arc::new)).collect())
    }

    /// What is kept of a key from that revision; `None` where nothing is.
    fn recall(&self, key: &Key, revision: u64) -> Option<Found> {
        self.kept.get(key).filter(|kept| kept.revision == revision).map(|kept| kept.found)
    }
}

#[async_trait]
impl DirectoryStore for Recall {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        let revision = self.revision_now().await?;
        let found = self.find_from(keys, revision).await?;
        Ok(found.into_iter().map(|found| found.map(Arc::unwrap_or_clone)).collect())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.revision_now().await
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        self.store.list(kind, query).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        self.store.owners(claims).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.store.used_by(key, after, limit).await
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        self.store.first_users(keys, by).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        self.store.snapshot()
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        let committed = self.store.commit(changes, at).await;
        self.changed().await;
        committed
    }
}
