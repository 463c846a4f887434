//! A store that keeps one caller waiting until the test lets him go on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use roamline_store::conformance::through::Through;
use roamline_store::memory::MemoryStore;
use roamline_store::{About, Commit, CommitError, Loaded, Sequence, SessionStore, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(20);

/// Where the caller is kept waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Before he has loaded.
    Load,
    /// Before he has committed.
    Commit,
    /// Before he hears that he has.
    CommitDone,
}

/// A memory store that stalls.
pub(crate) struct Stalled {
    store: Arc<MemoryStore>,
    next: Mutex<Option<Call>>,
    stalled: Notify,
    go_on: Notify,
}

impl Stalled {
    pub(crate) fn new() -> Arc<Self> {
        let (stalled, go_on) = (Notify::new(), Notify::new());
        Arc::new(Self { store: Arc::default(), next: Mutex::default(), stalled, go_on })
    }

    /// Keeps the next one waiting who comes there.
    pub(crate) fn stall_next(&self, call: Call) {
        *self.next.lock().unwrap() = Some(call);
    }

    /// Waits until he has come.
    pub(crate) async fn has_stalled(&self) {
        timeout(WITHIN, self.stalled.notified()).await.expect("in time");
    }

    /// Lets him go on.
    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }

    async fn pass(&self, call: Call) {
        let stalls = self.next.lock().unwrap().take_if(|next| *next == call).is_some();
        if stalls {
            self.stalled.notify_one();
            timeout(WITHIN, self.go_on.notified()).await.expect("in time");
        }
    }
}

#[async_trait]
impl Through for Stalled {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.store.clone()
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        self.pass(Call::Load).await;
        self.store.load(about).await
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        self.pass(Call::Commit).await;
        let made = self.store.commit(commit).await;
        self.pass(Call::CommitDone).await;
        made
    }
}
