//! A store whose sessions fall due only while the test lets them: so that it is the test that decides which replica
//! sweeps, and when. In all else it is the store behind it, or a broken one, by which the comparison itself is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use roamline_domain::PhoneName;
use roamline_store::conformance::through::Through;
use roamline_store::{About, Commit, CommitError, Loaded, Sequence, SessionStore, StoreError};

/// How a store breaks its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not say where else a user or an ACD line is.
    HidesOthers,
    /// It does not remember answers.
    ForgetsReplies,
    /// A session is due after its instant only, and not at it.
    IsLate,
}

pub(crate) struct Gate {
    store: Arc<dyn SessionStore>,
    fault: Option<Fault>,
    open: AtomicBool,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn SessionStore>, fault: Option<Fault>) -> Self {
        Self { store, fault, open: AtomicBool::new(false) }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

#[async_trait]
impl Through for Gate {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.store)
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let late = SignedDuration::from_micros(self.has(Fault::IsLate).into());
        if self.open.load(Ordering::Relaxed) {
            self.store.due(now - late, limit).await
        } else {
            Ok(Vec::new())
        }
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        let mut loaded = self.store.load(about).await?;
        if self.has(Fault::HidesOthers) {
            loaded.held.others.clear();
        }
        Ok(loaded)
    }

    async fn commit(&self, mut commit: Commit) -> Result<Sequence, CommitError> {
        if self.has(Fault::ForgetsReplies) {
            commit.reply = None;
        }
        self.store.commit(commit).await
    }
}
