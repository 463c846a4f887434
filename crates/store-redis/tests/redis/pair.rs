//! Two stores on one Redis, as two processes have them, that behave as one: what is asked goes to each in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::phone_state::SessionEvent;
use roamline_store::conformance::through::Through;
use roamline_store::{Commit, CommitError, Sequence, SessionStore, StoreError};
use roamline_store_redis::RedisStore;

pub(crate) struct Pair {
    stores: [Arc<RedisStore>; 2],
    asked: AtomicUsize,
}

impl Pair {
    pub(crate) fn new(stores: [Arc<RedisStore>; 2]) -> Self {
        Self { stores, asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> Arc<RedisStore> {
        self.stores[self.asked.fetch_add(1, Ordering::Relaxed) % 2].clone()
    }

    /// Both know of the event.
    async fn known(&self, last: Sequence) {
        for store in &self.stores {
            let mut latest = store.latest();
            let known =
                tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|known| *known >= last));
            known.await.expect("the other learns of it").unwrap();
        }
    }
}

#[async_trait]
impl Through for Pair {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.next()
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let last = self.next().commit(commit).await?;
        self.known(last).await;
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let last = self.next().tell(events, at).await?;
        self.known(last).await;
        Ok(last)
    }
}
