//! Two stores on one Redis, as two processes have them, that behave as one: what is asked goes to each in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use roamline_store::{
    About, Commit, CommitError, EventPage, EventsError, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError,
};
use roamline_store_redis::RedisStore;
use tokio::sync::watch;

pub(crate) struct Pair {
    stores: [Arc<RedisStore>; 2],
    asked: AtomicUsize,
}

impl Pair {
    pub(crate) fn new(stores: [Arc<RedisStore>; 2]) -> Self {
        Self { stores, asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &RedisStore {
        &self.stores[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
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
impl SessionStore for Pair {
    async fn is_begun(&self) -> Result<bool, StoreError> {
        self.next().is_begun().await
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.next().begin(phones, after).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        self.next().load(about).await
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

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        self.next().phone(phone).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        self.next().session(id).await
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        self.next().list(user, after, limit).await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        self.next().snapshot(user).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        self.next().due(now, limit).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.next().next_deadline().await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.next().events(after, limit).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.next().latest()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        self.next().reply(request, now).await
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.next().trim(now, keep).await
    }
}
