//! The directory as it is read over and over: what was read is kept in memory, and given again for as long as the
//! directory has not changed. Whether it has is asked of the store at every read, so that a change is seen at once by
//! every process; those who ask at the same time share one answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use roamline_domain::directory::{Claim, Key, Kind};
use tokio::sync::Mutex;

use crate::{Change, DirectoryError, DirectoryStore, ListQuery, StoreError, Stored};

/// Resources kept, and names under which there is none: some 50 MB at most, as resources are.
const KEPT: usize = 50_000;
/// Who asks for more at once reads them all of the store, and leaves what is kept alone.
const MOST: usize = 500;
/// How often a read is begun anew because the directory has changed in the middle of it.
const ROUNDS: usize = 3;

/// A directory that recalls what was found in it.
pub struct Recall {
    store: Arc<dyn DirectoryStore>,
    kept: Cache<Key, Kept>,
    /// How many have asked for the revision.
    asked: AtomicU64,
    looked: Mutex<Looked>,
}

/// What was found under a key.
#[derive(Clone)]
struct Kept {
    /// In which revision of the directory.
    revision: u64,
    found: Option<Arc<Stored>>,
}

/// The last look at the revision.
#[derive(Default)]
struct Looked {
    revision: u64,
    /// How many had asked when it began: it answers them all.
    answers: u64,
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
            let answers = self.asked.load(Ordering::SeqCst);
            let revision = self.store.revision().await?;
            *looked = Looked { revision, answers };
        }
        Ok(looked.revision)
    }

    /// What is kept of these keys from that revision, and the keys of which nothing is.
    fn recall(&self, keys: &[Key], revision: u64) -> (BTreeMap<Key, Option<Arc<Stored>>>, Vec<Key>) {
        let (mut known, mut missing) = (BTreeMap::new(), Vec::new());
        for key in keys {
            match self.kept.get(key).filter(|kept| kept.revision == revision) {
                Some(kept) => drop(known.insert(key.clone(), kept.found)),
                None => missing.push(key.clone()),
            }
        }
        (known, missing)
    }
}

#[async_trait]
impl DirectoryStore for Recall {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        for _ in 0..ROUNDS {
            if keys.len() > MOST {
                break;
            }
            let revision = self.revision_now().await?;
            let (mut known, missing) = self.recall(keys, revision);
            if !missing.is_empty() {
                let read = self.store.find(&missing).await?;
                if self.revision_now().await? != revision {
                    continue;
                }
                for (key, found) in missing.into_iter().zip(read) {
                    let found = found.map(Arc::new);
                    self.kept.insert(key.clone(), Kept { revision, found: found.clone() });
                    known.insert(key, found);
                }
            }
            let of = |key| known.get(key).and_then(|found| found.as_deref().cloned());
            return Ok(keys.iter().map(of).collect());
        }
        self.store.find(keys).await
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
        self.store.commit(changes, at).await
    }
}
